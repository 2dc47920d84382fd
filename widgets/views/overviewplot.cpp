#include "widgets/views/overviewplot.h"

#include <QCoreApplication>

#include <cmath>

namespace {

QString translated(const char* text)
{
    return QCoreApplication::translate("Overview", text);
}

// Layer numbers, whole and without those past the last layer.
class LayerTicker final : public QCPAxisTickerFixed {
public:
    explicit LayerTicker(int layers)
        : m_layers(layers)
    {
        setTickStep(1);
        setScaleStrategy(ssMultiples);
    }

protected:
    QVector<double> createTickVector(double step, const QCPRange& range) override
    {
        QVector<double> ticks;
        for (const double tick : QCPAxisTickerFixed::createTickVector(step, range))
            if (tick >= 0 && tick < m_layers)
                ticks.append(tick);
        return ticks;
    }
    QString getTickLabel(double tick, const QLocale&, QChar, int) override
    {
        return QString::number(std::lround(tick));
    }

private:
    int m_layers;
};

QSharedPointer<QCPAxisTicker> namesTicker(const QStringList& names)
{
    QSharedPointer<QCPAxisTickerText> ticker(new QCPAxisTickerText);
    for (int i = 0; i < names.size(); ++i)
        ticker->addTick(i, names[i]);
    return ticker;
}

} // namespace

OverviewPlot::OverviewPlot(QWidget* parent)
    : Plot(parent)
    , m_cells(new OverviewCells(xAxis, yAxis))
    , m_scale(addColourBar(*this))
    , m_ends(new ColourBarEnds(*this, *m_scale))
{
    setInteractions({});
    yAxis->setRangeReversed(true);
    yAxis2->setRangeReversed(true);
    connect(this, &Plot::coloursChanged, this, &OverviewPlot::styleAxes);
    connect(this, &QCustomPlot::afterLayout, this, &OverviewPlot::fitTicks);
    // The new axes of the colour scale have not seen the palette yet.
    QEvent palette(QEvent::PaletteChange);
    changeEvent(&palette);
}

void OverviewPlot::styleAxes()
{
    for (QCPAxis* axis : axisRect()->axes()) {
        axis->grid()->setVisible(false);
        axis->setTickLength(0);
        axis->setSubTicks(false);
        axis->setBasePen(Qt::NoPen);
        axis->setTickPen(Qt::NoPen);
    }
}

void OverviewPlot::takeLayout(OverviewLayout layout)
{
    const bool layers = layout.layers > 0;
    xAxis->setTicker(QSharedPointer<QCPAxisTicker>(new LayerTicker(layout.layers)));
    xAxis->setTickLabels(layers);
    xAxis->setLabel(layers ? translated("Layer") : QString());
    yAxis->setTicker(namesTicker(layout.kinds));
    yAxis->setTickLabels(!layout.kinds.isEmpty());
    yAxis2->setTicker(namesTicker(layout.others));
    yAxis2->setTickLabels(!layout.others.isEmpty());
    for (QCPAxis* axis : axisRect()->axes())
        axis->setRange(-0.5, (axis->orientation() == Qt::Horizontal ? layout.columns : layout.rows) - 0.5);
    m_cells->states.assign(layout.cells.size(), {});
    m_cells->layout = std::move(layout);
    replot(rpQueuedReplot);
}

void OverviewPlot::takeSpan(const ColourSpan& span, bool logarithmic, const QString& label)
{
    m_cells->range = span.range;
    m_cells->logarithmic = logarithmic;
    setColours(*m_scale, {m_cells->map, span.range, logarithmic, m_cells->worstIsLow, label});
    const QColor low = m_cells->colourOf(span.range.lower), high = m_cells->colourOf(span.range.upper);
    m_ends->setColours(span.below ? low : QColor(), span.above ? high : QColor());
}

// As many numbers of layers as there is room for.
void OverviewPlot::fitTicks()
{
    const int label = QFontMetrics(xAxis->tickLabelFont()).horizontalAdvance(QStringLiteral("0000"));
    const int count = std::max(axisRect()->width() / std::max(label, 1), 2);
    if (xAxis->ticker()->tickCount() == count)
        return;
    xAxis->ticker()->setTickCount(count);
    replot(rpQueuedReplot);
}

int OverviewPlot::layerAt(const QPointF& at) const
{
    const QRect inner = axisRect()->rect();
    if (at.y() <= inner.bottom() || at.x() < inner.left() || at.x() > inner.right())
        return -1;
    const auto layer = static_cast<int>(std::lround(xAxis->pixelToCoord(at.x())));
    return layer >= 0 && layer < m_cells->layout.layers ? layer : -1;
}

int OverviewPlot::kindAt(const QPointF& at) const
{
    const QRect inner = axisRect()->rect();
    if (at.x() >= inner.left() || at.y() < inner.top() || at.y() > inner.bottom() || m_cells->layout.layers == 0)
        return -1;
    const auto row = static_cast<int>(std::lround(yAxis->pixelToCoord(at.y())));
    return row >= 0 && row < m_cells->layout.kinds.size() ? row : -1;
}

void OverviewPlot::keyPressEvent(QKeyEvent* event)
{
    if (event->modifiers() == Qt::NoModifier && key && key(event->key()))
        return;
    Plot::keyPressEvent(event);
}

void OverviewPlot::resizeEvent(QResizeEvent* event)
{
    Plot::resizeEvent(event);
    replot(rpQueuedReplot);
}
