#include "widgets/job.h"
#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/matrixlayers.h"
#include "widgets/views/matrixplot.h"

#include <QActionGroup>
#include <QCheckBox>
#include <QComboBox>

#include <cmath>

// The selected tensor as a picture: where in the matrix the large weights, the errors and the coarse groups are.
namespace {

constexpr std::size_t kCacheBytes = std::size_t {256} << 20;

class MatrixView final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Matrix)

public:
    MatrixView(Session* session, QWidget* parent);

private:
    void connectSession();
    void connectPlot();
    void addColourActions();
    MatrixLayer layer() const { return static_cast<MatrixLayer>(m_layer->currentIndex()); }
    void takeTensor(); // another tensor: shows all of it
    void takeLayer();  // another layer, choice or calibration: the zoom stays
    QString obstacle() const;
    void show(std::shared_ptr<const LayerPicture> picture);
    void draw();
    void readAt(long row, long col);
    void describe();
    PlotTable table() const;
    QString quantity() const;

    Session* m_session;
    std::optional<Subject> m_subject;
    std::shared_ptr<const LayerPicture> m_picture;
    std::shared_ptr<const quern::QuantizedCopy> m_stored; // for reading values, once the error has been shown
    LayerCache m_cache {kCacheBytes};
    MatrixPlot* m_plot;
    QComboBox* m_layer;
    QCheckBox* m_log;
    ColourMap m_map = ColourMap::Cividis;
    Job m_job; // last: it ends before what it delivers to
};

MatrixView::MatrixView(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
    , m_plot(new MatrixPlot(this))
{
    noteRewrites(session);
    m_layer = addChoice(tr("S&how:"), {tr("Weight |w|"), tr("Error |w − q|"), tr("Scale of groups")});
    m_log = addSwitch(tr("&Log colours"), true);
    setContent(m_plot);
    m_plot->setTitle(tr("Matrix"));
    m_plot->setTable([this] { return table(); });
    addColourActions();
    connectPlot();
    connectSession();
    takeTensor();
}

void MatrixView::connectSession()
{
    connect(m_session, &Session::modelChanged, this, [this] {
        m_cache.clear();
        takeTensor();
    });
    connect(m_session, &Session::selectionChanged, this, &MatrixView::takeTensor);
    const auto takeChoice = [this] {
        if (subjectOf(*m_session) != m_subject)
            takeLayer();
    };
    connect(m_session, &Session::recipeChanged, this, takeChoice);
    connect(m_session, &Session::calibrationChanged, this, takeChoice);
    connect(m_session, &Session::channelChanged, this, [this] { m_plot->showColumn(m_session->channel()); });
    connect(m_layer, &QComboBox::currentIndexChanged, this, &MatrixView::takeLayer);
    connect(m_log, &QCheckBox::toggled, this, &MatrixView::draw);
}

void MatrixView::connectPlot()
{
    connect(m_plot, &MatrixPlot::crossMoved, this, &MatrixView::readAt);
    connect(m_plot, &MatrixPlot::moved, this, &MatrixView::describe);
    connect(&m_job, &Job::progressed, this,
            [this](double fraction) { m_plot->setNote(tr("Computing… %1 %").arg(static_cast<int>(fraction * 100))); });
    connect(&m_job, &Job::failed, this, [this](const quern::Error& error) { m_plot->setPlaceholder(sentence(error)); });
}

void MatrixView::addColourActions()
{
    auto* group = new QActionGroup(this);
    for (const ColourMap map : kColourMaps) {
        auto* action = new QAction(nameOf(map), group);
        action->setCheckable(true);
        action->setChecked(map == m_map);
        connect(action, &QAction::triggered, this, [this, map] {
            m_map = map;
            draw();
        });
        m_plot->addOwnAction(action);
    }
}

void MatrixView::takeTensor()
{
    m_subject = subjectOf(*m_session);
    m_plot->setShape(m_subject ? m_subject->tensor().rows() : 0, m_subject ? m_subject->tensor().cols() : 0);
    takeLayer();
}

void MatrixView::takeLayer()
{
    m_job.cancel();
    m_subject = subjectOf(*m_session);
    m_stored = nullptr;
    show(nullptr);
    m_plot->setNote({});
    m_plot->setPlaceholder(obstacle());
    if (!m_plot->placeholder().isEmpty())
        return;
    if (auto kept = m_cache.find(*m_subject, layer()))
        return show(std::move(kept));
    m_plot->setNote(tr("Computing…"));
    m_job.start([subject = *m_subject,
                 layer = layer()](quern::Progress& progress) { return layerPicture(subject, layer, progress); },
                [this, layer = layer()](const std::shared_ptr<const LayerPicture>& picture) {
                    m_cache.insert(layer, picture);
                    show(picture);
                });
}

// Why there is nothing to compute; empty if there is.
QString MatrixView::obstacle() const
{
    if (QString missing = missingSubject(*m_session); !missing.isEmpty())
        return missing;
    if (m_subject->tensor().count() == 0)
        return tr("%1 holds no weights.").arg(m_subject->name());
    if (layer() == MatrixLayer::Weight)
        return {};
    if (!m_session->plan())
        return m_session->planError();
    return m_subject->quantized() ? QString()
                                  : tr("%1 is stored as it is: without error, without groups.").arg(m_subject->name());
}

void MatrixView::show(std::shared_ptr<const LayerPicture> picture)
{
    m_picture = std::move(picture);
    if (m_picture) {
        m_stored = m_picture->stored;
        m_plot->setNote({});
        if (!m_picture->pyramid)
            m_plot->setPlaceholder(tr("%1 has no scale per group to show.").arg(m_picture->subject.formatName()));
    }
    draw();
}

QString MatrixView::quantity() const
{
    switch (layer()) {
    case MatrixLayer::Error:
        return tr("|weight − quantized|");
    case MatrixLayer::Scale:
        return tr("Distance of levels");
    case MatrixLayer::Weight:
        break;
    }
    return tr("|weight|");
}

void MatrixView::draw()
{
    const bool log = m_log->isChecked();
    ColourBar colours {.map = m_map, .range = {log ? 0.1 : 0, 1}, .logarithmic = log, .label = quantity()};
    const auto pyramid = m_picture ? m_picture->pyramid : nullptr;
    if (pyramid)
        colours.range = MatrixPlottable::usefulRange(*pyramid, log);
    m_plot->setPicture(pyramid, m_picture ? m_picture->columnsPerCell : 1, colours);
    describe();
}

void MatrixView::readAt(long row, long col)
{
    if (!m_subject || row < 0 || col < 0 || row >= m_subject->tensor().rows() || col >= m_subject->tensor().cols())
        return setStatus({});
    const auto at = static_cast<std::size_t>(col);
    std::vector<float> values(static_cast<std::size_t>(m_subject->tensor().cols()));
    quern::decodeRows(m_subject->tensor(), row, 1, values.data());
    const float weight = values[at];
    QString text = tr("Row %1, column %2: weight %3").arg(row).arg(col).arg(figure(weight, 5));
    if (m_stored) {
        quern::decodeRows(m_stored->tensor, row, 1, values.data());
        text += tr(", quantized %1, error %2").arg(figure(values[at], 5), figure(weight - values[at]));
    }
    if (layer() == MatrixLayer::Scale && m_picture && m_picture->pyramid) {
        float step = 0;
        const double group = std::floor(static_cast<double>(col) / m_picture->columnsPerCell);
        m_picture->pyramid->window({static_cast<double>(row), group, 1, 1}, 1, 1, &step);
        text += tr(", distance of levels %1").arg(figure(step));
    }
    setStatus(text);
}

void MatrixView::describe()
{
    if (!m_subject) {
        setHint({});
        return m_plot->setDescription(tr("Nothing is selected."));
    }
    // In the picture too, so that an exported one says it.
    m_plot->setAxes(tr("Column (input channel); %1").arg(m_plot->reduction()), tr("Row (output channel)"));
    const bool scale = layer() == MatrixLayer::Scale;
    const QString shown = scale ? tr("Distance of the levels of every group") : quantity();
    const QString text
        = tr("%1, %2: %3, %4.").arg(m_subject->name(), shapeText(m_subject->tensor()), shown, m_plot->reduction());
    setHint(text);
    m_plot->setDescription(m_picture && m_picture->pyramid
                               ? tr("%1 The largest is %2.").arg(text, figure(m_picture->pyramid->largest()))
                               : text);
}

PlotTable MatrixView::table() const
{
    // The visible part, reduced to what one can still read: the largest magnitudes.
    PlotTable table {.columns = {tr("Row"), tr("Column"), tr("Value")}};
    if (!m_picture || !m_picture->pyramid)
        return table;
    const double perCell = m_picture->columnsPerCell;
    const QCPRange x = m_plot->xAxis->range(), y = m_plot->yAxis->range();
    const quern::Pyramid& pyramid = *m_picture->pyramid;
    const double left = std::clamp(x.lower / perCell, 0.0, static_cast<double>(pyramid.cols()));
    const double right = std::clamp(x.upper / perCell, left, static_cast<double>(pyramid.cols()));
    const double top = std::clamp(y.lower, 0.0, static_cast<double>(pyramid.rows()));
    const double bottom = std::clamp(y.upper, top, static_cast<double>(pyramid.rows()));
    constexpr double kMost = 64;
    const long rows = std::lround(std::min(std::ceil(bottom - top), kMost));
    const long cols = std::lround(std::min(std::ceil(right - left), kMost));
    auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(rows * cols));
    if (rows > 0 && cols > 0)
        pyramid.window({top, left, bottom - top, right - left}, rows, cols, values->data());
    table.rows = rows * cols;
    table.value = [=](long i, int column) -> QVariant {
        const long whole = i / cols;
        const auto row = static_cast<double>(whole), col = static_cast<double>(i - whole * cols);
        if (column == 0)
            return static_cast<qlonglong>(top + row * (bottom - top) / static_cast<double>(rows));
        if (column == 1)
            return static_cast<qlonglong>((left + col * (right - left) / static_cast<double>(cols)) * perCell);
        return static_cast<double>((*values)[static_cast<std::size_t>(i)]);
    };
    return table;
}

} // namespace

extern constinit const View matrix;
constinit const View matrix {
    .id = "matrix",
    .title = QT_TRANSLATE_NOOP("View", "Matrix"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new MatrixView(session, parent); }};
