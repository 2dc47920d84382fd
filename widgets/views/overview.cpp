#include "widgets/session.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/overviewplot.h"
#include "widgets/views/overviewtext.h"
#include "widgets/views/subject.h"

#include <QActionGroup>
#include <QCheckBox>
#include <QComboBox>
#include <QTimer>
#include <QToolTip>

#include <algorithm>

// Where it hurts: one cell per tensor, layers side by side, coloured by a measure of the user's choice.
namespace {

class Overview final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Overview)

public:
    Overview(Session* session, QWidget* parent);

private:
    const quern::Measure& measure() const
    {
        return quern::measures()[static_cast<std::size_t>(m_measure->currentIndex())];
    }
    int tensorOf(int cell) const { return m_cells->layout.cells[static_cast<std::size_t>(cell)].tensor; }
    const OverviewCells::State& state(int cell) const { return m_cells->states[static_cast<std::size_t>(cell)]; }
    bool worse(int a, int b) const; // cells with values

    void connectSession();
    void connectPlot();
    void addColourActions();
    void rebuild(); // another model, or other tensors of it
    void markOverrides();
    void recolour(); // other values
    ColourSpan span() const;
    QString reasonForNoValue() const;
    void describe();
    void select(int cell) { m_session->select(tensorOf(cell)); }
    bool key(int key);
    void step(int by); // through the cells from worst to best
    void hover(QMouseEvent* event);
    void click(const QPointF& at);
    void showCurrent(int cell);

    Session* m_session;
    OverviewPlot* m_plot;
    OverviewCells* m_cells;
    QComboBox* m_measure;
    QCheckBox *m_log, *m_vectors;
    QTimer m_changes; // gathers signals that come by the hundred
};

Overview::Overview(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
    , m_plot(new OverviewPlot(this))
    , m_cells(m_plot->cells())
{
    noteRewrites(session);
    QStringList names;
    for (const quern::Measure& measure : quern::measures())
        names.append(measureText(measure));
    m_measure = addChoice(tr("&Measure:"), names);
    m_log = addSwitch(tr("&Log colours"), measure().logarithmic);
    m_vectors = addSwitch(tr("&Vectors too"), false);
    m_vectors->setToolTip(tr("Norms, biases and other tensors of one dimension"));
    setContent(m_plot);
    m_plot->setTitle(tr("Overview"));
    m_plot->setTable([this] { return m_session->model() ? overviewTable(*m_session, m_cells->layout) : PlotTable {}; });
    m_changes.setSingleShot(true);
    m_changes.setInterval(40);
    connect(&m_changes, &QTimer::timeout, this, &Overview::recolour);
    addColourActions();
    connectSession();
    connectPlot();
    rebuild();
}

void Overview::connectSession()
{
    const auto later = [this] {
        if (!m_changes.isActive())
            m_changes.start();
    };
    connect(m_session, &Session::modelChanged, this, &Overview::rebuild);
    connect(m_session, &Session::statsChanged, this, later);
    connect(m_session, &Session::errorChanged, this, later);
    connect(m_session, &Session::inputOutliersChanged, this, later);
    connect(m_session, &Session::recipeChanged, this, [this, later] {
        markOverrides();
        later();
    });
    connect(m_session, &Session::selectionChanged, this, [this] {
        m_cells->current = m_cells->layout.cellOf(m_session->selected());
        showCurrent(m_cells->current);
        m_plot->replot(QCustomPlot::rpQueuedReplot);
    });
    connect(m_measure, &QComboBox::currentIndexChanged, this, [this] {
        const QSignalBlocker blocker(m_log);
        m_log->setChecked(measure().logarithmic);
        recolour();
    });
    connect(m_log, &QCheckBox::toggled, this, &Overview::recolour);
    connect(m_vectors, &QCheckBox::toggled, this, &Overview::rebuild);
}

void Overview::connectPlot()
{
    m_plot->key = [this](int key) { return this->key(key); };
    connect(m_plot, &Plot::clicked, this, &Overview::click);
    connect(m_plot, &Plot::activated, this, [this](const QPointF& at) {
        if (const int cell = m_cells->cellAt(at); cell >= 0)
            m_session->open(tensorOf(cell));
    });
    connect(m_plot, &QCustomPlot::mouseMove, this, &Overview::hover);
}

void Overview::addColourActions()
{
    auto* group = new QActionGroup(this);
    for (const ColourMap map : kColourMaps) {
        auto* action = new QAction(nameOf(map), group);
        action->setCheckable(true);
        action->setChecked(map == m_cells->map);
        connect(action, &QAction::triggered, this, [this, map] {
            m_cells->map = map;
            recolour();
        });
        m_plot->addOwnAction(action);
    }
}

void Overview::rebuild()
{
    const auto model = m_session->model();
    m_plot->takeLayout(model ? overviewLayout(*model, m_vectors->isChecked()) : OverviewLayout {});
    m_cells->current = m_cells->layout.cellOf(m_session->selected());
    markOverrides();
    recolour();
}

void Overview::markOverrides()
{
    const auto model = m_session->model();
    for (std::size_t i = 0; model && i < m_cells->states.size(); ++i) {
        const auto tensor = static_cast<std::size_t>(m_cells->layout.cells[i].tensor);
        m_cells->states[i].overridden = overridden(m_session->recipe(), model->tensors[tensor].name);
    }
}

void Overview::recolour()
{
    for (std::size_t i = 0; i < m_cells->states.size(); ++i) {
        const int tensor = m_cells->layout.cells[i].tensor;
        OverviewCells::State& state = m_cells->states[i];
        state.value = measure().value(measured(*m_session, tensor));
        const auto error = m_session->error(tensor);
        state.estimate = measure().fromDistortion && error && !error->exact;
        state.failed = !m_session->failure(tensor).isEmpty();
        state.text = state.value ? valueText(measure(), measured(*m_session, tensor)) : QString();
    }
    m_cells->worstIsLow = measure().fromDistortion && !measure().highIsBad;
    m_plot->takeSpan(span(), m_log->isChecked(), measureText(measure()));
    m_plot->setPlaceholder(m_session->model() ? QString() : missingSubject(*m_session));
    m_plot->setNote(reasonForNoValue());
    describe();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

// Why all cells are hatched; empty if they are not.
QString Overview::reasonForNoValue() const
{
    const auto known = [](const OverviewCells::State& state) { return state.value.has_value(); };
    if (m_cells->states.empty() || std::ranges::any_of(m_cells->states, known))
        return {};
    if (measure().fromDistortion && !m_session->plan())
        return m_session->planError();
    // Where errors are known, what is missing is what the inputs make of them.
    const auto hasError
        = [this](const OverviewLayout::Cell& cell) { return m_session->error(cell.tensor).has_value(); };
    const bool calibrated = measure().name == "input_outliers"
        || (measure().fromDistortion && std::ranges::any_of(m_cells->layout.cells, hasError));
    return !m_session->calibration() && calibrated
        ? tr("This needs a calibration: Model > Calibrate, or an importance matrix (Ctrl+I).")
        : tr("Not measured yet.");
}

ColourSpan Overview::span() const
{
    std::vector<double> values;
    for (const auto& state : m_cells->states)
        if (state.value)
            values.push_back(*state.value);
    return colourSpan(std::move(values), m_log->isChecked());
}

bool Overview::worse(int a, int b) const
{
    const double x = *state(a).value, y = *state(b).value;
    return m_cells->worstIsLow ? x < y : x > y;
}

void Overview::describe()
{
    if (!m_session->model()) {
        setHint(tr("Open a model to see where quantization hurts."));
        m_plot->setDescription(tr("No model is open."));
        return;
    }
    int extreme = -1, known = 0;
    const int all = static_cast<int>(m_cells->states.size());
    for (int i = 0; i < all; ++i)
        if (state(i).value) {
            ++known;
            if (extreme < 0 || worse(i, extreme))
                extreme = i;
        }
    const QString what = measureText(measure());
    m_plot->setDescription(extreme < 0 ? tr("%1 of %2 tensors: none measured yet.").arg(what).arg(all)
                                       : tr("%1 of %2 tensors, %3 of them known. Extreme: %4.")
                                             .arg(what)
                                             .arg(all)
                                             .arg(known)
                                             .arg(tensorLine(*m_session, measure(), tensorOf(extreme))));
    const ColourSpan colours = span();
    const QString beyond = colours.below || colours.above
        ? QLatin1Char(' ') + tr("A triangle at the bar: some values lie beyond its end.")
        : QString();
    setHint(tr("Hatched: not measured. Corner cut: estimate. Dot: a rule decides. Click a cell, a layer or a kind; "
               "[ and ] go to the next worse and better tensor.")
            + beyond);
    showCurrent(m_cells->current);
}

void Overview::showCurrent(int cell)
{
    setStatus(cell < 0 ? QString() : tensorLine(*m_session, measure(), tensorOf(cell)));
}

void Overview::hover(QMouseEvent* event)
{
    const int cell = m_cells->cellAt(event->position());
    showCurrent(cell < 0 ? m_cells->current : cell);
    if (cell < 0)
        QToolTip::hideText();
    else
        QToolTip::showText(event->globalPosition().toPoint(), tensorTooltip(*m_session, tensorOf(cell)), m_plot,
                           m_cells->rectOf(cell).toRect());
}

void Overview::click(const QPointF& at)
{
    if (const int cell = m_cells->cellAt(at); cell >= 0)
        select(cell);
    else if (const int layer = m_plot->layerAt(at); layer >= 0)
        m_session->chooseLayer(layer);
    else if (const int kind = m_plot->kindAt(at); kind >= 0)
        m_session->chooseKind(m_cells->layout.kinds[kind]);
}

bool Overview::key(int key)
{
    if (m_cells->layout.cells.empty())
        return false;
    const auto move = [&](int columns, int rows) {
        select(m_cells->current < 0 ? 0 : m_cells->layout.neighbour(m_cells->current, columns, rows));
        return true;
    };
    switch (key) {
    case Qt::Key_Left:
        return move(-1, 0);
    case Qt::Key_Right:
        return move(1, 0);
    case Qt::Key_Up:
        return move(0, -1);
    case Qt::Key_Down:
        return move(0, 1);
    case Qt::Key_BracketLeft:
        step(-1);
        return true;
    case Qt::Key_BracketRight:
        step(1);
        return true;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
        if (m_cells->current >= 0)
            m_session->open(tensorOf(m_cells->current));
        return true;
    default:
        return false;
    }
}

void Overview::step(int by)
{
    std::vector<int> order;
    for (int i = 0; i < static_cast<int>(m_cells->states.size()); ++i)
        if (state(i).value)
            order.push_back(i);
    if (order.empty())
        return;
    std::ranges::stable_sort(order, [this](int a, int b) { return worse(a, b); });
    const auto it = std::ranges::find(order, m_cells->current);
    // Without a current cell both begin at the worst.
    const long next = it == order.end() ? 0 : it - order.begin() + by;
    select(order[static_cast<std::size_t>(std::clamp(next, 0L, static_cast<long>(order.size()) - 1))]);
}

} // namespace

extern constinit const View overview;
constinit const View overview {
    .id = "overview",
    .title = QT_TRANSLATE_NOOP("View", "Overview"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Overview(session, parent); }};
