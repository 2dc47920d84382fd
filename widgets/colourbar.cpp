#include "widgets/colourbar.h"

#include "widgets/eventicker.h"

#include <cmath>

namespace {

// 1, 2 and 5 times the powers of ten: for logarithmic bars of few decades, which QCPAxisTickerLog leaves bare.
class FewDecadesTicker final : public QCPAxisTicker {
protected:
    int getSubTickCount(double) override { return 0; }
    QVector<double> createTickVector(double, const QCPRange& range) override
    {
        QVector<double> ticks;
        const int last = static_cast<int>(std::floor(std::log10(range.upper)));
        for (int decade = static_cast<int>(std::floor(std::log10(range.lower))); decade <= last; ++decade)
            for (const double digit : {1.0, 2.0, 5.0})
                if (const double tick = digit * std::pow(10, decade); range.contains(tick))
                    ticks.append(tick);
        return ticks;
    }
};

QSharedPointer<QCPAxisTicker> tickerFor(const ColourBar& bar)
{
    const double decades = bar.logarithmic ? std::log10(bar.range.upper / bar.range.lower) : 0;
    if (decades > 4)
        return QSharedPointer<QCPAxisTicker>(new QCPAxisTickerLog);
    if (decades > 1)
        return QSharedPointer<QCPAxisTicker>(new FewDecadesTicker);
    return QSharedPointer<QCPAxisTicker>(new EvenTicker);
}

} // namespace

QCPColorScale* addColourBar(QCustomPlot& plot)
{
    auto* scale = new QCPColorScale(&plot);
    plot.plotLayout()->addElement(0, 1, scale);
    scale->setType(QCPAxis::atRight);
    scale->setBarWidth(14);
    auto* sides = new QCPMarginGroup(&plot);
    plot.axisRect()->setMarginGroup(QCP::msBottom | QCP::msTop, sides);
    scale->setMarginGroup(QCP::msBottom | QCP::msTop, sides);
    return scale;
}

void setColours(QCPColorScale& scale, const ColourBar& bar)
{
    scale.setDataScaleType(bar.logarithmic ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    scale.axis()->setTicker(tickerFor(bar));
    scale.axis()->setNumberFormat(QStringLiteral("gb"));
    scale.axis()->setNumberPrecision(4);
    scale.setLabel(bar.label);
    QCPColorGradient gradient;
    QMap<double, QColor> stops;
    for (int i = 0; i < 256; ++i)
        stops.insert(i / 255.0, colourAt(bar.map, bar.inverted ? 1 - i / 255.0 : i / 255.0));
    gradient.setColorStops(stops);
    gradient.setLevelCount(256);
    scale.setGradient(gradient);
    scale.setDataRange(bar.range);
}

ColourBarEnds::ColourBarEnds(QCustomPlot& plot, const QCPColorScale& scale)
    : QCPAbstractItem(&plot)
    , m_scale(scale)
{
    setClipToAxisRect(false);
    setSelectable(false);
}

void ColourBarEnds::setColours(const QColor& below, const QColor& above)
{
    m_below = below;
    m_above = above;
}

void ColourBarEnds::draw(QCPPainter* painter)
{
    constexpr double kHeight = 7;
    const QRectF bar = m_scale.axis()->axisRect()->rect();
    painter->setAntialiasing(true);
    painter->setPen(QPen(m_scale.axis()->basePen().color(), 1));
    const auto triangle = [&](const QColor& colour, double base, double tip) {
        if (!colour.isValid())
            return;
        painter->setBrush(colour);
        painter->drawPolygon(
            QPolygonF({QPointF(bar.left(), base), QPointF(bar.right(), base), QPointF(bar.center().x(), tip)}));
    };
    triangle(m_above, bar.top() - 2, bar.top() - 2 - kHeight);
    triangle(m_below, bar.bottom() + 2, bar.bottom() + 2 + kHeight);
}
