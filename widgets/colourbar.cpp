#include "widgets/colourbar.h"

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
    const bool decades
        = bar.logarithmic && bar.range.upper / bar.range.lower > 30; // else they may hold one power of ten
    scale.axis()->setTicker(QSharedPointer<QCPAxisTicker>(decades ? new QCPAxisTickerLog : new QCPAxisTicker));
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
