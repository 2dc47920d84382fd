#include "widgets/views/distributionplot.h"

#include "core/rebin.h"
#include "widgets/colours.h"
#include "widgets/eventicker.h"
#include "widgets/text.h"

#include <algorithm>
#include <array>

namespace {

constexpr int kPixelsPerBin = 3;
// More would show the gaps between the values that BF16 can hold; zooming in does.
constexpr int kMostBins = 160;
constexpr double kFloor = 0.5; // where a logarithmic axis begins: one weight must be seen

QColor mixed(const QColor& a, const QColor& b, double share)
{
    return QColor::fromRgbF(static_cast<float>(a.redF() * share + b.redF() * (1 - share)),
                            static_cast<float>(a.greenF() * share + b.greenF() * (1 - share)),
                            static_cast<float>(a.blueF() * share + b.blueF() * (1 - share)));
}

// Corners of a staircase over the bins, from the floor and back to it.
void fillSteps(QCPGraph* graph, const quern::Histogram& bins, const std::vector<double>& counts)
{
    QVector<double> x, y;
    const double width = quern::binWidth(bins);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        x.append(bins.low + static_cast<double>(i) * width);
        y.append(counts[i]);
    }
    if (!counts.empty()) {
        x.prepend(bins.low);
        y.prepend(0);
        x.append(bins.high);
        y.append(0);
    }
    graph->setData(x, y, true);
}

} // namespace

DistributionPlot::DistributionPlot(QWidget* parent)
    : Plot(parent)
    , m_before(addGraph())
    , m_afterGraph(addGraph())
    , m_levels(addGraph())
    , m_weights(addGraph())
    , m_mean(new QCPItemStraightLine(this))
    , m_meanText(new QCPItemText(this))
{
    for (int i : {0, 1}) {
        m_sigmas[i] = new QCPItemStraightLine(this);
        m_sigmaTexts[i] = new QCPItemText(this);
    }
    axisRect()->setRangeDrag(Qt::Horizontal);
    axisRect()->setRangeZoom(Qt::Horizontal);
    addGraphs();
    setAxes(axisName(), QString());
    setHome([this] { showCentre(); });
    setTable([this] { return makeTable(); });
    connect(this, &Plot::coloursChanged, this, &DistributionPlot::takePens);
    connect(xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, &DistributionPlot::redraw);
    takePens();
    setLogarithmic(true);
}

void DistributionPlot::addGraphs()
{
    m_before->setLineStyle(QCPGraph::lsStepLeft);
    m_afterGraph->setLineStyle(QCPGraph::lsStepLeft);
    m_levels->setLineStyle(QCPGraph::lsImpulse);
    m_weights->setLineStyle(QCPGraph::lsNone);
    m_weights->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssTriangle, 6));
    m_weights->setName(tr("weights of the group"));
    for (QCPGraph* graph : {m_before, m_afterGraph, m_levels, m_weights}) {
        graph->setAdaptiveSampling(false);
        graph->setAntialiased(false);
        graph->setSelectable(QCP::stNone);
    }
    m_before->setAntialiasedFill(false);
    legend->setVisible(true);
    putLegendAbove();
    fillLegend();
    for (QCPItemText* text : {m_meanText, m_sigmaTexts[0], m_sigmaTexts[1]}) {
        text->position->setTypeY(QCPItemPosition::ptAxisRectRatio);
        text->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
        text->setPadding({3, 1, 3, 1});
        text->setSelectable(false);
    }
    m_meanText->setText(tr("mean"));
    m_sigmaTexts[0]->setText(tr("−6σ"));
    m_sigmaTexts[1]->setText(tr("6σ"));
    for (QCPItemStraightLine* line : {m_mean, m_sigmas[0], m_sigmas[1]}) {
        line->point1->setTypeY(QCPItemPosition::ptAxisRectRatio);
        line->point2->setTypeY(QCPItemPosition::ptAxisRectRatio);
        line->setSelectable(false);
    }
}

// What is drawn, in the order before, after, levels, weights.
void DistributionPlot::fillLegend()
{
    const QString names[] = {tr("as stored"), tr("inputs, by the calibration"), tr("outputs, by the calibration")};
    m_before->setName(names[static_cast<int>(m_values)]);
    for (QCPGraph* graph : {m_before, m_afterGraph, m_levels, m_weights})
        graph->removeFromLegend();
    const bool group = !m_groupLevels.levels.empty();
    for (const auto& [graph, drawn] :
         {std::pair {m_before, true}, {m_afterGraph, m_after.has_value()}, {m_levels, group}, {m_weights, group}})
        if (drawn)
            graph->addToLegend();
}

void DistributionPlot::resizeEvent(QResizeEvent* event)
{
    constexpr int kTwoNames = 430; // pixels
    legend->setWrap(width() < kTwoNames ? 1 : 2);
    Plot::resizeEvent(event);
    redraw(); // as many bins as there are pixels
}

void DistributionPlot::takePens()
{
    const auto colours = seriesColours(palette());
    const QColor base = palette().color(QPalette::Base), text = palette().color(QPalette::Text);
    m_before->setPen(colours[Blue]);
    m_before->setBrush(mixed(colours[Blue], base, 0.45));
    m_afterGraph->setPen(QPen(colours[Vermillion], 2));
    m_levels->setPen(QPen(colours[Green], 1));
    m_weights->setPen(QPen(colours[Purple], 1));
    for (QCPItemStraightLine* line : {m_mean, m_sigmas[0], m_sigmas[1]})
        line->setPen(QPen(text, 1, line == m_mean ? Qt::DashLine : Qt::DotLine));
    for (QCPItemText* label : {m_meanText, m_sigmaTexts[0], m_sigmaTexts[1]}) {
        label->setColor(text);
        label->setFont(font());
        label->setBrush(base);
    }
}

void DistributionPlot::setStats(std::shared_ptr<const quern::TensorStats> stats, Values values)
{
    m_stats = std::move(stats);
    m_values = values;
    m_after.reset();
    m_groupLevels = {};
    fillLegend();
    showCentre();
}

void DistributionPlot::setAfter(std::optional<After> after)
{
    m_after = std::move(after);
    if (m_after)
        m_afterGraph->setName(m_after->name);
    fillLegend();
    redraw();
}

void DistributionPlot::setLevels(const quern::GroupLevels& levels, const QString& name)
{
    m_groupLevels = levels;
    m_levels->setName(name);
    fillLegend();
    drawLevels();
    replot(rpQueuedReplot);
}

void DistributionPlot::setLogarithmic(bool on)
{
    m_logarithmic = on;
    yAxis->setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    yAxis2->setScaleType(yAxis->scaleType());
    const QSharedPointer<QCPAxisTicker> ticker(on ? static_cast<QCPAxisTicker*>(new QCPAxisTickerLog) : new EvenTicker);
    yAxis->setTicker(ticker);
    yAxis2->setTicker(ticker);
    yAxis->setNumberFormat(on ? QStringLiteral("eb") : QStringLiteral("gb"));
    yAxis->setNumberPrecision(on ? 0 : 6);
    redraw();
}

void DistributionPlot::showAll()
{
    if (m_stats)
        setRange(m_stats->histogram.low, m_stats->histogram.high);
}

void DistributionPlot::showCentre()
{
    if (m_stats && !m_stats->centre.counts.empty())
        setRange(m_stats->centre.low, m_stats->centre.high);
    else if (m_stats)
        showAll();
    else
        redraw();
}

void DistributionPlot::setRange(double low, double high)
{
    const double margin = high > low ? (high - low) * 0.02 : std::max(std::abs(low), 1e-6) * 0.5;
    xAxis->setRange(low - margin, high + margin);
    redraw();
}

QString DistributionPlot::axisName() const
{
    const QString names[] = {tr("Value of the weight"), tr("Value of the input"), tr("Value of the output")};
    return names[static_cast<int>(m_values)];
}

int DistributionPlot::bins() const
{
    return std::clamp(axisRect()->width() / kPixelsPerBin, 50, kMostBins);
}

void DistributionPlot::redraw()
{
    m_shown = {};
    const quern::Histogram* after = nullptr;
    if (m_stats) {
        const quern::Histogram& centre = m_stats->centre;
        // The view has margins around what it shows.
        const double slack = (centre.high - centre.low) * 0.03;
        const double low = xAxis->range().lower, high = xAxis->range().upper;
        const bool central = low >= centre.low - slack && high <= centre.high + slack && !centre.counts.empty();
        const quern::Histogram& kept = central
            ? quern::finestFor(*m_stats, std::max(low, centre.low), std::min(high, centre.high))
            : m_stats->histogram;
        m_shown = quern::rebinned(kept, low, high, bins());
        if (m_after)
            after = &kept == &centre ? &m_after->centre : &m_after->all;
    }
    takeCounts(m_shown, after);
    drawMarks();
    drawLevels();
    emit tailsChanged(m_shown.below, m_shown.above);
    replot(rpQueuedReplot);
}

void DistributionPlot::takeCounts(const quern::Histogram& shown, const quern::Histogram* after)
{
    std::vector<double> counts(shown.counts.begin(), shown.counts.end());
    m_shownAfter.clear();
    if (after) {
        const quern::Histogram same = quern::rebinned(*after, xAxis->range().lower, xAxis->range().upper, bins());
        for (const std::uint64_t count : same.counts)
            m_shownAfter.push_back(static_cast<double>(count) * m_after->scale);
    }
    fillSteps(m_before, shown, counts);
    fillSteps(m_afterGraph, shown, m_shownAfter);
    double most = static_cast<double>(quern::largestCount(shown));
    for (const double count : m_shownAfter)
        most = std::max(most, count);
    // Room above the bins for the names of the marks.
    const double names = fontMetrics().height() + 4, height = std::max(axisRect()->height(), 1);
    const double room = std::clamp(names / height, 0.0, 0.4) / (1 - std::clamp(names / height, 0.0, 0.4));
    most = std::max(most, 1.0);
    if (m_logarithmic)
        yAxis->setRange(kFloor, most * std::pow(most / kFloor, room));
    else
        yAxis->setRange(0, most * (1 + room));
    setAxes(m_stats ? tr("%1, in bins of %2").arg(axisName(), figure(quern::binWidth(shown), 2)) : axisName(),
            m_values == Values::Weights ? tr("Weights per bin") : tr("Values per bin"));
    setReadings(static_cast<long>(counts.size()), [this](long i) {
        const double width = quern::binWidth(m_shown), low = m_shown.low + static_cast<double>(i) * width;
        const auto at = static_cast<std::size_t>(i);
        const QString pattern = m_values == Values::Weights ? tr("%1 to %2: %L3 weights") : tr("%1 to %2: %L3 values");
        QString text = pattern.arg(figure(low, 4), figure(low + width, 4)).arg(m_shown.counts[at]);
        if (at < m_shownAfter.size())
            text += tr(", quantized %L1").arg(std::round(m_shownAfter[at]));
        return Reading {low + width / 2, text};
    });
}

void DistributionPlot::drawMarks()
{
    const bool visible = m_stats && m_stats->std > 0;
    const auto place = [&](QCPItemStraightLine* line, QCPItemText* text, double x, double y) {
        line->point1->setCoords(x, 0);
        line->point2->setCoords(x, 1);
        text->position->setCoords(x, y);
        const bool inside = visible && xAxis->range().contains(x);
        line->setVisible(inside);
        text->setVisible(inside);
    };
    const double mean = m_stats ? m_stats->mean : 0, six = m_stats ? 6 * m_stats->std : 0;
    place(m_mean, m_meanText, mean, 0.01);
    place(m_sigmas[0], m_sigmaTexts[0], mean - six, 0.01);
    place(m_sigmas[1], m_sigmaTexts[1], mean + six, 0.01);
}

void DistributionPlot::drawLevels()
{
    const auto doubles = [](const std::vector<float>& values) { return QVector<double>(values.begin(), values.end()); };
    const bool shown = !m_groupLevels.levels.empty();
    // Levels stand from the axis to a third of the height, so that they do not hide the histogram.
    const QCPRange range = yAxis->range();
    const double top = m_logarithmic ? range.lower * std::pow(range.upper / range.lower, 0.3) : range.upper * 0.3;
    const double foot = m_logarithmic ? range.lower * std::pow(range.upper / range.lower, 0.03) : range.upper * 0.03;
    QVector<double> levels = doubles(m_groupLevels.levels);
    QVector<double> weights = shown ? doubles(m_groupLevels.original) : QVector<double>();
    std::sort(weights.begin(), weights.end());
    m_levels->setData(levels, QVector<double>(levels.size(), top), true);
    m_weights->setData(weights, QVector<double>(weights.size(), foot), true);
}

PlotTable DistributionPlot::makeTable() const
{
    PlotTable table {.columns = {tr("From"), tr("To"), m_values == Values::Weights ? tr("Weights") : tr("Values")},
                     .rows = static_cast<long>(m_shown.counts.size())};
    if (!m_shownAfter.empty())
        table.columns.append(tr("Quantized"));
    table.value = [shown = m_shown, after = m_shownAfter](long row, int column) -> QVariant {
        const double width = quern::binWidth(shown);
        if (column < 2)
            return shown.low + static_cast<double>(row + column) * width;
        const auto at = static_cast<std::size_t>(row);
        return column == 2 ? QVariant(static_cast<qulonglong>(shown.counts[at]))
                           : QVariant(at < after.size() ? after[at] : 0.0);
    };
    return table;
}
