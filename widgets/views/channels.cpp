#include "core/activations.h"
#include "widgets/colours.h"
#include "widgets/plot.h"
#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/subject.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHeaderView>
#include <QSplitter>
#include <QStandardItemModel>
#include <QTableWidget>

#include <algorithm>
#include <cmath>
#include <numeric>

// Which inputs are guilty: the largest weight of every input channel, and how strong its inputs are.
namespace {

constexpr int kTop = 20;
enum Sort { AsStored, LargestWeight, StrongestInput };
enum ListColumn { Number, AbsMax, Sigmas, InputRms, ListColumns };

class Channels final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Channels)

public:
    Channels(Session* session, QWidget* parent);

protected:
    void resizeEvent(QResizeEvent* event) override
    {
        ViewFrame::resizeEvent(event);
        m_list->setVisible(width() > fontMetrics().averageCharWidth() * 64); // a narrow dock shows the picture
    }

private:
    void makeList();
    void addGraphs();
    void connectSession();
    void takePens();
    void take();    // another tensor, its stats, or other importance
    void arrange(); // order of the channels
    std::vector<long> sorted() const;
    void showInputsAxis(bool shown);
    void fitBars();
    void fillList();
    void markChannel();
    void home();
    void click(const QPointF& at);
    void describe();
    Plot::Reading reading(long i) const;
    QString channelText(long channel) const;
    PlotTable table() const;

    Session* m_session;
    std::optional<Subject> m_subject;
    std::shared_ptr<const quern::TensorStats> m_stats;
    std::vector<float> m_rms;  // of the inputs of every channel; empty without calibration
    std::vector<long> m_order; // channel at every place of the axis
    Plot* m_plot;
    QTableWidget* m_list;
    QComboBox* m_sort;
    QCheckBox* m_overlay;
    QCPGraph *m_bars, *m_inputs, *m_chosen;
    QCPItemStraightLine* m_sigma;
    QCPItemText* m_sigmaText;
};

Channels::Channels(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
    , m_plot(new Plot(this))
    , m_bars(m_plot->addGraph())
    , m_inputs(m_plot->addGraph(m_plot->xAxis, m_plot->yAxis2))
    , m_chosen(m_plot->addGraph())
    , m_sigma(new QCPItemStraightLine(m_plot))
    , m_sigmaText(new QCPItemText(m_plot))
{
    noteRewrites(session);
    m_sort = addChoice(tr("&Order"), {tr("As stored"), tr("Largest weight first"), tr("Strongest input first")});
    m_overlay = addSwitch(tr("Strength of &inputs"), true);
    auto* splitter = new QSplitter(this);
    splitter->addWidget(m_plot);
    m_list = new QTableWidget(0, ListColumns, splitter);
    makeList();
    splitter->addWidget(m_list);
    splitter->setStretchFactor(0, 1);
    setContent(splitter);
    setFocusProxy(m_plot);
    addGraphs();
    connectSession();
    takePens();
    take();
}

void Channels::makeList()
{
    m_list->setAccessibleName(tr("First channels in this order, or those with the largest weights"));
    m_list->setHorizontalHeaderLabels({tr("Channel"), tr("Max |w|"), tr("Sigmas"), tr("Input")});
    m_list->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_list->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_list->setSelectionMode(QAbstractItemView::SingleSelection);
    m_list->setTabKeyNavigation(false);
    m_list->setFrameShape(QFrame::NoFrame);
    m_list->verticalHeader()->hide();
    m_list->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 2);
    m_list->horizontalHeaderItem(AbsMax)->setToolTip(tr("Largest magnitude among the weights of the channel"));
    m_list->horizontalHeaderItem(Sigmas)->setToolTip(
        tr("The same in standard deviations of all weights of the tensor"));
    m_list->horizontalHeaderItem(InputRms)->setToolTip(
        tr("Root mean square of what the channel receives, by the calibration"));
    m_list->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    m_list->setSizeAdjustPolicy(QAbstractScrollArea::AdjustToContents);
    m_list->setSizePolicy(QSizePolicy::Minimum, QSizePolicy::Expanding); // never narrower than its columns
}

void Channels::addGraphs()
{
    m_plot->setTitle(tr("Channels"));
    m_plot->setHome([this] { home(); });
    m_plot->setTable([this] { return table(); });
    m_plot->axisRect()->setRangeDrag(Qt::Horizontal);
    m_plot->axisRect()->setRangeZoom(Qt::Horizontal);
    // setupFullAxesBox() ties the right axis to the left; here it has values of its own.
    disconnect(m_plot->yAxis, nullptr, m_plot->yAxis2, nullptr);
    m_bars->setName(tr("Largest |weight|"));
    m_inputs->setName(tr("Strength of inputs (rms)"));
    m_chosen->setLineStyle(QCPGraph::lsImpulse);
    m_inputs->setLineStyle(QCPGraph::lsNone);
    m_inputs->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssCircle, 3));
    m_chosen->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, 7));
    m_chosen->removeFromLegend();
    for (QCPGraph* graph : {m_bars, m_inputs, m_chosen}) {
        graph->setAntialiased(false);
        graph->setSelectable(QCP::stNone);
    }
    m_plot->putLegendAbove();
    m_sigma->setSelectable(false);
    m_sigmaText->setSelectable(false);
    m_sigmaText->position->setTypeX(QCPItemPosition::ptAxisRectRatio);
    m_sigmaText->setPositionAlignment(Qt::AlignLeft | Qt::AlignBottom);
    m_sigmaText->setPadding({4, 1, 4, 1});
    m_plot->yAxis2->setScaleType(QCPAxis::stLogarithmic);
    m_plot->yAxis2->setTicker(QSharedPointer<QCPAxisTicker>(new QCPAxisTickerLog));
    m_plot->yAxis2->setNumberFormat(QStringLiteral("eb"));
    m_plot->yAxis2->setNumberPrecision(0);
}

void Channels::connectSession()
{
    connect(m_session, &Session::modelChanged, this, &Channels::take);
    connect(m_session, &Session::selectionChanged, this, &Channels::take);
    connect(m_session, &Session::calibrationChanged, this, &Channels::take);
    connect(m_session, &Session::channelChanged, this, &Channels::markChannel);
    connect(m_session, &Session::statsChanged, this, [this](int tensor) {
        if (tensor == m_session->selected())
            take();
    });
    connect(m_sort, &QComboBox::currentIndexChanged, this, &Channels::arrange);
    connect(m_overlay, &QCheckBox::toggled, this, &Channels::arrange);
    connect(m_plot, &Plot::clicked, this, &Channels::click);
    connect(m_plot, &Plot::read, this, &ViewFrame::setStatus);
    connect(m_plot, &Plot::coloursChanged, this, &Channels::takePens);
    connect(m_plot, &QCustomPlot::beforeReplot, this, &Channels::fitBars);
    connect(m_list, &QTableWidget::currentCellChanged, this, [this](int row) {
        if (const QTableWidgetItem* item = m_list->item(row, 0))
            m_session->selectChannel(item->data(Qt::UserRole).toLongLong());
    });
}

void Channels::takePens()
{
    const QPalette palette = m_plot->palette();
    const auto colours = seriesColours(palette);
    m_bars->setPen(QPen(colours[Blue], 1));
    m_bars->setBrush(colours[Blue]);
    m_inputs->setPen(QPen(colours[Vermillion], 1));
    m_chosen->setPen(QPen(colours[Purple], 1));
    m_sigma->setPen(QPen(palette.color(QPalette::Text), 1, Qt::DotLine));
    m_sigmaText->setColor(palette.color(QPalette::Text));
    m_sigmaText->setFont(m_plot->font());
}

// Bars as wide as a channel while there is a pixel for each, then lines: many edges take long to fill.
void Channels::fitBars()
{
    const bool wide = m_plot->xAxis->range().size() < m_plot->axisRect()->width();
    m_bars->setLineStyle(wide ? QCPGraph::lsStepCenter : QCPGraph::lsImpulse);
}

void Channels::take()
{
    m_subject = subjectOf(*m_session);
    m_stats = m_subject ? m_session->stats(m_subject->index) : nullptr;
    const quern::InputStats* inputs = m_subject ? m_subject->inputs() : nullptr;
    m_rms = inputs ? quern::channelRms(*inputs) : std::vector<float> {};
    if (m_stats && m_rms.size() != m_stats->columnAbsMax.size())
        m_rms.clear();
    static_cast<QStandardItemModel*>(m_sort->model())->item(StrongestInput)->setEnabled(!m_rms.empty());
    if (m_rms.empty() && m_sort->currentIndex() == StrongestInput) {
        const QSignalBlocker blocker(m_sort);
        m_sort->setCurrentIndex(AsStored);
    }
    m_plot->setAxes(tr("Input channel (column)"), tr("Largest |weight| of the channel"));
    arrange();
    describe();
}

std::vector<long> Channels::sorted() const
{
    const auto n = m_stats ? m_stats->columnAbsMax.size() : 0;
    if (m_sort->currentIndex() == StrongestInput && m_rms.size() == n)
        return quern::strongestFirst(m_rms);
    std::vector<long> order(n);
    std::iota(order.begin(), order.end(), 0L);
    if (m_sort->currentIndex() == LargestWeight && m_stats)
        std::ranges::transform(m_stats->topChannels(n), order.begin(), &quern::Channel::index);
    return order;
}

void Channels::arrange()
{
    m_order = sorted();
    QVector<double> x, bars, inputs;
    const bool overlay = m_overlay->isChecked() && !m_rms.empty() && !m_order.empty();
    for (std::size_t i = 0; i < m_order.size(); ++i) {
        x.append(static_cast<double>(i));
        bars.append(m_stats->columnAbsMax[static_cast<std::size_t>(m_order[i])]);
        if (overlay)
            inputs.append(m_rms[static_cast<std::size_t>(m_order[i])]);
    }
    m_bars->setData(x, bars, true);
    m_inputs->setData(overlay ? x : QVector<double>(), inputs, true);
    showInputsAxis(overlay);
    const QString axes[] = {tr("Input channel (column)"), tr("Input channels, largest weight first"),
                            tr("Input channels, strongest input first")};
    m_plot->xAxis->setLabel(axes[m_sort->currentIndex()]);
    m_plot->setReadings(static_cast<long>(m_order.size()), [this](long i) { return reading(i); });
    fillList();
    markChannel();
    home();
}

void Channels::showInputsAxis(bool shown)
{
    m_overlay->setEnabled(!m_rms.empty());
    m_overlay->setToolTip(m_rms.empty() ? tr("Calibrate, or load an importance matrix, to see the strength of inputs.")
                                        : tr("Root mean square of what each channel receives, on the right axis"));
    m_plot->legend->setVisible(shown);
    m_plot->yAxis2->setTickLabels(shown);
    m_plot->yAxis2->setTicks(shown);
    m_plot->yAxis2->setLabel(shown ? tr("Strength of inputs, rms of x") : QString());
}

void Channels::home()
{
    const auto n = static_cast<double>(m_order.size());
    m_plot->xAxis->setRange(-0.5 - n * 0.01, n - 0.5 + n * 0.01);
    const double six = m_stats ? 6 * m_stats->std : 0;
    double most = six;
    for (const float x : m_stats ? m_stats->columnAbsMax : std::vector<float> {})
        if (std::isfinite(x))
            most = std::max(most, static_cast<double>(x));
    m_plot->yAxis->setRange(0, most > 0 ? most * 1.15 : 1);
    bool found = false;
    const QCPRange inputs = m_inputs->getValueRange(found, QCP::sdPositive);
    if (found)
        m_plot->yAxis2->setRange(inputs.lower / 2, inputs.upper * 4);
    m_sigma->setVisible(six > 0);
    m_sigmaText->setVisible(six > 0);
    m_sigma->point1->setCoords(0, six);
    m_sigma->point2->setCoords(1, six);
    m_sigmaText->setText(tr("6 sigma"));
    m_sigmaText->position->setCoords(0, six);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

// The channels at the left of the plot, or those with the largest weights if they stand in their own order.
void Channels::fillList()
{
    const QSignalBlocker blocker(m_list);
    std::vector<long> top;
    if (m_sort->currentIndex() == StrongestInput)
        top.assign(m_order.begin(), m_order.begin() + std::min<std::ptrdiff_t>(std::ssize(m_order), kTop));
    else if (m_stats)
        for (const quern::Channel& channel : m_stats->topChannels(kTop))
            top.push_back(channel.index);
    m_list->setColumnHidden(InputRms, m_rms.empty());
    m_list->setRowCount(static_cast<int>(top.size()));
    for (int row = 0; row < m_list->rowCount(); ++row) {
        const long channel = top[static_cast<std::size_t>(row)];
        const auto at = static_cast<std::size_t>(channel);
        const double largest = m_stats->columnAbsMax[at];
        const QString texts[] = {QString::number(channel), figure(largest),
                                 m_stats->std > 0 ? fixed(largest / m_stats->std, 1) : QStringLiteral("–"),
                                 at < m_rms.size() ? figure(m_rms[at]) : QString()};
        for (int column = 0; column < ListColumns; ++column) {
            auto* item = new QTableWidgetItem(texts[column]);
            item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
            item->setData(Qt::UserRole, static_cast<qlonglong>(channel));
            m_list->setItem(row, column, item);
        }
    }
}

void Channels::markChannel()
{
    const auto it = std::ranges::find(m_order, m_session->channel());
    if (it == m_order.end()) {
        m_chosen->data()->clear();
    } else {
        m_chosen->setData({static_cast<double>(it - m_order.begin())},
                          {m_stats->columnAbsMax[static_cast<std::size_t>(*it)]}, true);
        setStatus(channelText(*it));
    }
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

QString Channels::channelText(long channel) const
{
    const auto at = static_cast<std::size_t>(channel);
    QString text = tr("Channel %1: largest |weight| %2").arg(channel).arg(figure(m_stats->columnAbsMax[at]));
    if (at < m_rms.size())
        text += tr(", rms of inputs %1").arg(figure(m_rms[at]));
    return text;
}

Plot::Reading Channels::reading(long i) const
{
    return {static_cast<double>(i), channelText(m_order[static_cast<std::size_t>(i)])};
}

void Channels::click(const QPointF& at)
{
    if (m_order.empty() || !m_plot->axisRect()->rect().contains(at.toPoint()))
        return;
    // The tallest within reach of the pointer: bars are thin.
    constexpr double kReach = 4;
    const auto last = static_cast<double>(m_order.size() - 1);
    const auto index = [&](double pixel) {
        return static_cast<std::size_t>(std::clamp(std::round(m_plot->xAxis->pixelToCoord(pixel)), 0.0, last));
    };
    const auto first = m_order.begin() + static_cast<std::ptrdiff_t>(index(at.x() - kReach));
    const auto end = m_order.begin() + static_cast<std::ptrdiff_t>(index(at.x() + kReach)) + 1;
    const auto height = [this](long channel) { return m_stats->columnAbsMax[static_cast<std::size_t>(channel)]; };
    m_session->selectChannel(*std::ranges::max_element(first, end, {}, height));
}

void Channels::describe()
{
    const QString missing = missingStats(*m_session);
    QString sentence = missing;
    if (missing.isEmpty()) {
        const auto beyond = std::ranges::count_if(m_stats->columnAbsMax, [&](float x) { return x > 6 * m_stats->std; });
        sentence = tr("%1: %2 of %3 input channels hold weights beyond 6 sigma.")
                       .arg(m_subject->name())
                       .arg(beyond)
                       .arg(m_stats->columnAbsMax.size());
        if (const auto score = m_rms.empty() ? std::nullopt : quern::outlierScore(*m_subject->inputs()))
            sentence += tr(" Strongest input: channel %1, %2 times the median.")
                            .arg(quern::strongestFirst(m_rms).front())
                            .arg(std::isinf(*score) ? QStringLiteral("∞") : figure(*score));
    }
    setHint(sentence);
    m_plot->setDescription(sentence);
    m_plot->setPlaceholder(missing);
}

PlotTable Channels::table() const
{
    PlotTable table {.columns = {tr("Channel"), tr("Largest |weight|")}, .rows = static_cast<long>(m_order.size())};
    if (!m_rms.empty())
        table.columns.append(tr("RMS of inputs"));
    table.value = [order = m_order, stats = m_stats, rms = m_rms](long row, int column) -> QVariant {
        const auto channel = static_cast<std::size_t>(order[static_cast<std::size_t>(row)]);
        if (column == 0)
            return static_cast<qlonglong>(channel);
        return static_cast<double>(column == 1 ? stats->columnAbsMax[channel] : rms.at(channel));
    };
    return table;
}

} // namespace

extern constinit const View channels;
constinit const View channels {
    .id = "channels",
    .title = QT_TRANSLATE_NOOP("View", "Channels"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Channels(session, parent); }};
