#include "widgets/views/outputplots.h"

#include "core/rebin.h"
#include "widgets/colours.h"
#include "widgets/text.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr double kNoDivergence = 1e-9; // nats: rounding of the computation itself reaches this far
constexpr int kBinsPerDecade = 8;
constexpr double kMargin = 3; // on both sides of the bins, for the names of the marks

// Whole numbers only.
class CountTicker final : public QCPAxisTicker {
protected:
    double getTickStep(const QCPRange& range) override
    {
        const double step = QCPAxisTicker::getTickStep(range);
        return step <= 1 ? 1 : step == std::floor(step) ? step : 2 * step; // 2.5 is none
    }
    int getSubTickCount(double) override { return 0; }
};

} // namespace

DivergencePlot::DivergencePlot(QWidget* parent)
    : Plot(parent)
    , m_counts(addGraph())
{
    setTitle(tr("KL divergence of every prediction"));
    setAxes(tr("KL divergence of a prediction [nats]"), tr("Predictions per bin"));
    const QSharedPointer<QCPAxisTicker> decades(new QCPAxisTickerLog);
    for (QCPAxis* axis : {xAxis, xAxis2}) {
        axis->setScaleType(QCPAxis::stLogarithmic);
        axis->setTicker(decades);
    }
    xAxis->setNumberFormat(QStringLiteral("eb"));
    xAxis->setNumberPrecision(0);
    yAxis->setTicker(QSharedPointer<QCPAxisTicker>(new CountTicker));
    axisRect()->setRangeDrag(Qt::Horizontal);
    axisRect()->setRangeZoom(Qt::Horizontal);
    m_counts->setLineStyle(QCPGraph::lsStepLeft);
    m_counts->setAdaptiveSampling(false);
    m_counts->setAntialiased(false);
    m_counts->setSelectable(QCP::stNone);
    for (int i = 0; i < kMarks; ++i) {
        m_lines[i] = new QCPItemStraightLine(this);
        m_texts[i] = new QCPItemText(this);
        m_lines[i]->setSelectable(false);
        m_texts[i]->setSelectable(false);
        m_lines[i]->point1->setTypeY(QCPItemPosition::ptAxisRectRatio);
        m_lines[i]->point2->setTypeY(QCPItemPosition::ptAxisRectRatio);
        m_texts[i]->position->setTypeY(QCPItemPosition::ptAxisRectRatio);
        m_texts[i]->setPadding({3, 1, 3, 1});
    }
    setTable([this] { return makeTable(); });
    setHome([this] {
        if (!m_decades.counts.empty())
            xAxis->setRange(edge(0) / kMargin, edge(static_cast<long>(m_decades.counts.size())) * kMargin);
    });
    connect(this, &Plot::coloursChanged, this, &DivergencePlot::takePens);
    takePens();
    show({});
}

void DivergencePlot::takePens()
{
    const QColor colour = seriesColours(palette())[Blue], text = palette().color(QPalette::Text);
    m_counts->setPen(colour);
    QColor fill = colour;
    fill.setAlphaF(0.45F);
    m_counts->setBrush(fill);
    for (int i = 0; i < kMarks; ++i) {
        m_lines[i]->setPen(QPen(text, 1, i == 0 ? Qt::DashLine : Qt::DotLine));
        m_texts[i]->setColor(text);
        m_texts[i]->setFont(font());
        m_texts[i]->setBrush(palette().color(QPalette::Base));
    }
}

double DivergencePlot::edge(long bin) const
{
    return std::pow(10, m_decades.low + static_cast<double>(bin) * quern::binWidth(m_decades));
}

QString DivergencePlot::text(long bin) const
{
    return tr("%1 to %2 nats: %L3 predictions")
        .arg(figure(edge(bin)), figure(edge(bin + 1)))
        .arg(m_decades.counts[static_cast<std::size_t>(bin)]);
}

void DivergencePlot::show(const quern::PredictionSummary& predictions)
{
    m_decades = quern::decades(predictions.divergences, kNoDivergence, kBinsPerDecade);
    const auto bins = static_cast<long>(m_decades.counts.size());
    QVector<double> x, y;
    for (long i = 0; i < bins; ++i) {
        x.append(edge(i));
        y.append(static_cast<double>(m_decades.counts[static_cast<std::size_t>(i)]));
    }
    if (bins > 0) {
        x.append(edge(bins));
        y.append(0);
    }
    m_counts->setData(x, y, true);
    constexpr double kRoom = 1.3; // above the bins, for the names of the marks
    yAxis->setRange(0, std::max<double>(static_cast<double>(quern::largestCount(m_decades)), 1) * kRoom);
    placeMarks(predictions);
    setNote(predictions.compared && bins == 0 ? tr("No prediction differs from the original's.") : QString());
    setReadings(bins, [this](long i) { return Reading {std::sqrt(edge(i) * edge(i + 1)), text(i)}; });
    goHome();
}

void DivergencePlot::placeMarks(const quern::PredictionSummary& predictions)
{
    const std::pair<QString, double> marks[kMarks] = {{tr("mean"), predictions.divergence.value},
                                                      {tr("median"), quern::quantile(predictions.divergences, 0.5)},
                                                      {tr("99 %"), quern::quantile(predictions.divergences, 0.99)},
                                                      {tr("99.9 %"), quern::quantile(predictions.divergences, 0.999)}};
    for (int i = 0; i < kMarks; ++i) {
        const auto& [name, at] = marks[i];
        const bool shown = at >= kNoDivergence && !m_decades.counts.empty();
        m_lines[i]->setVisible(shown);
        m_texts[i]->setVisible(shown);
        if (!shown)
            continue;
        m_lines[i]->point1->setCoords(at, 0);
        m_lines[i]->point2->setCoords(at, 1);
        m_texts[i]->setText(name);
        // What lies left of the mean has its name on the left, and the last two are on different heights.
        const bool left = at < predictions.divergence.value;
        m_texts[i]->setPositionAlignment((left ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignTop);
        m_texts[i]->position->setCoords(at, i == 2 ? 0.1 : 0.01);
    }
}

PlotTable DivergencePlot::makeTable() const
{
    PlotTable table {.columns = {tr("From [nats]"), tr("To [nats]"), tr("Predictions")},
                     .rows = static_cast<long>(m_decades.counts.size())};
    std::vector<double> edges;
    for (long i = 0; i <= table.rows; ++i)
        edges.push_back(edge(i));
    table.value = [edges, counts = m_decades.counts](long row, int column) -> QVariant {
        if (column < 2)
            return edges[static_cast<std::size_t>(row + column)];
        return static_cast<qulonglong>(counts[static_cast<std::size_t>(row)]);
    };
    return table;
}

HiddenErrorPlot::HiddenErrorPlot(QWidget* parent)
    : Plot(parent)
    , m_line(addGraph())
{
    setTitle(tr("Error of the hidden state after each block"));
    setAxes(tr("Blocks passed"), tr("Relative error of the hidden state"));
    xAxis->setTicker(QSharedPointer<QCPAxisTicker>(new CountTicker));
    m_line->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, 6));
    m_line->setSelectable(QCP::stNone);
    setTable([this] { return makeTable(); });
    setHome([this] {
        const double most = m_errors.empty() ? 0 : *std::ranges::max_element(m_errors);
        xAxis->setRange(-0.5, std::max(static_cast<double>(m_errors.size()), 1.0) - 0.5);
        yAxis->setRange(0, most > 0 ? most * 1.1 : 1);
    });
    connect(this, &Plot::coloursChanged, this, &HiddenErrorPlot::takePens);
    takePens();
    show({});
}

void HiddenErrorPlot::takePens()
{
    m_line->setPen(QPen(seriesColours(palette())[Vermillion], 1));
}

QString HiddenErrorPlot::place(long i) const
{
    return i == 0 ? tr("after the embedding") : tr("after block %1").arg(i - 1);
}

void HiddenErrorPlot::show(std::vector<double> errors)
{
    m_errors = std::move(errors);
    QVector<double> x;
    for (std::size_t i = 0; i < m_errors.size(); ++i)
        x.append(static_cast<double>(i));
    m_line->setData(x, QVector<double>(m_errors.begin(), m_errors.end()), true);
    setReadings(static_cast<long>(m_errors.size()), [this](long i) {
        return Reading {static_cast<double>(i),
                        tr("Relative error %1: %2").arg(place(i), figure(m_errors[static_cast<std::size_t>(i)]))};
    });
    setDescription(m_errors.empty() ? QString()
                                    : tr("Relative error of the hidden state: %1 after the embedding, %2 after the "
                                         "last of %3 blocks.")
                                          .arg(figure(m_errors.front()), figure(m_errors.back()))
                                          .arg(m_errors.size() - 1));
    goHome();
}

PlotTable HiddenErrorPlot::makeTable() const
{
    PlotTable table {.columns = {tr("Blocks passed"), tr("Relative error")},
                     .rows = static_cast<long>(m_errors.size())};
    table.value = [errors = m_errors](long row, int column) -> QVariant {
        return column == 0 ? QVariant(static_cast<qlonglong>(row)) : QVariant(errors[static_cast<std::size_t>(row)]);
    };
    return table;
}
