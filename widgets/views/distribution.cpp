#include "core/activations.h"
#include "widgets/job.h"
#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/distributionplot.h"
#include "widgets/views/numberspanel.h"
#include "widgets/views/subject.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QSpinBox>
#include <QSplitter>
#include <QToolButton>

#include <algorithm>
#include <array>
#include <numeric>

// How the selected tensor's weights are distributed, what quantization makes of them, and the values one group of them
// can take; or how its inputs and outputs are.
namespace {

constexpr int kActivationBins = 2048;
constexpr long kSampledWeights = 4'000'000; // for the histogram after; a second of work at most

class Distribution final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Distribution)

public:
    Distribution(Session* session, QWidget* parent);

protected:
    void resizeEvent(QResizeEvent* event) override
    {
        ViewFrame::resizeEvent(event);
        m_numbers->setVisible(width() > m_numbers->sizeHint().width() * 2); // a narrow dock shows the picture
    }

private:
    void addControls();
    QWidget* plotWithTails();
    void connectSession();
    using Values = DistributionPlot::Values;
    Values values() const { return static_cast<Values>(m_shown->currentIndex()); }
    bool weights() const { return values() == Values::Weights; }
    const quern::LogHistogram* counted() const; // inputs or outputs of the subject; null: not known
    QString missing() const;
    void takeTensor(); // another tensor, or its stats came, or other values
    void takeActivations();
    void describeActivations();
    void takeChoice(); // another choice, or calibration
    void startSample();
    void startLevels();
    void takeSample(const Subject& subject, const quern::QuantizedSample& sample);
    void showTails(quint64 below, quint64 above);
    void describe();

    Session* m_session;
    std::optional<Subject> m_subject;
    std::shared_ptr<const quern::TensorStats> m_stats;
    std::optional<double> m_errorPerStep;
    DistributionPlot* m_plot;
    NumbersPanel* m_numbers;
    QComboBox* m_shown;
    QCheckBox *m_log, *m_after, *m_levels;
    QSpinBox *m_row, *m_group;
    QToolButton *m_left, *m_right;
    Job m_sampleJob, m_levelsJob, m_activationsJob; // last: they end before what they deliver to
};

Distribution::Distribution(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
{
    noteRewrites(session);
    addControls();
    auto* splitter = new QSplitter(this);
    splitter->addWidget(plotWithTails());
    m_numbers = new NumbersPanel(splitter);
    splitter->addWidget(m_numbers);
    splitter->setStretchFactor(0, 1);
    splitter->setSizes({500, m_numbers->sizeHint().width()});
    setContent(splitter);
    setFocusProxy(m_plot);
    connectSession();
    takeTensor();
}

void Distribution::addControls()
{
    m_shown = addChoice(tr("Sho&w"), {tr("Weights"), tr("Inputs"), tr("Outputs")});
    m_shown->setToolTip(tr("The tensor's weights, or what it received and gave while the model was calibrated"));
    m_log = addSwitch(tr("&Log counts"), true);
    m_log->setToolTip(tr("So that a single value can be seen"));
    m_after = addSwitch(tr("&After quantization"), true);
    m_levels = addSwitch(tr("&Levels of"), true);
    const auto spin = [this](const QString& prefix, const QString& name) {
        auto* box = new QSpinBox(this);
        box->setPrefix(prefix);
        box->setAccessibleName(name);
        box->setKeyboardTracking(false);
        addControl(box);
        connect(box, &QSpinBox::valueChanged, this, &Distribution::startLevels);
        return box;
    };
    m_row = spin(tr("row "), tr("Row of the group"));
    m_group = spin(tr("group "), tr("Group within the row"));
    connect(m_shown, &QComboBox::currentIndexChanged, this, &Distribution::takeTensor);
    connect(m_after, &QCheckBox::toggled, this, &Distribution::startSample);
    connect(m_levels, &QCheckBox::toggled, this, &Distribution::startLevels);
}

QWidget* Distribution::plotWithTails()
{
    auto* box = new QWidget(this);
    m_plot = new DistributionPlot(box);
    m_plot->setTitle(tr("Distribution"));
    auto* tails = new QHBoxLayout;
    const auto tail = [&] {
        auto* button = new QToolButton(box);
        button->setAutoRaise(true);
        button->setToolTip(tr("Show all of them"));
        button->setMinimumWidth(1); // a narrow dock clips the text rather than stay wide
        button->hide();
        connect(button, &QToolButton::clicked, m_plot, &DistributionPlot::showAll);
        return button;
    };
    m_left = tail();
    m_right = tail();
    tails->addWidget(m_left);
    tails->addStretch();
    tails->addWidget(m_right);
    auto* layout = new QVBoxLayout(box);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_plot, 1);
    layout->addLayout(tails);
    connect(m_plot, &DistributionPlot::tailsChanged, this, &Distribution::showTails);
    connect(m_plot, &Plot::read, this, &ViewFrame::setStatus);
    connect(m_log, &QCheckBox::toggled, m_plot, &DistributionPlot::setLogarithmic);
    return box;
}

void Distribution::connectSession()
{
    connect(m_session, &Session::modelChanged, this, &Distribution::takeTensor);
    connect(m_session, &Session::selectionChanged, this, &Distribution::takeTensor);
    connect(m_session, &Session::recipeChanged, this, &Distribution::takeChoice);
    connect(m_session, &Session::calibrationChanged, this, [this] { weights() ? takeChoice() : takeTensor(); });
    connect(m_session, &Session::statsChanged, this, [this](int tensor) {
        if (m_subject && m_subject->index == tensor && weights())
            takeTensor();
    });
    connect(m_session, &Session::errorChanged, this, [this](int tensor) {
        if (m_subject && m_subject->index == tensor)
            describe();
    });
    for (Job* job : {&m_sampleJob, &m_levelsJob, &m_activationsJob})
        connect(job, &Job::failed, this, [this](const quern::Error& error) { setHint(sentence(error)); });
}

void Distribution::takeTensor()
{
    m_sampleJob.cancel();
    m_levelsJob.cancel();
    m_activationsJob.cancel();
    m_subject = subjectOf(*m_session);
    for (QWidget* control : std::initializer_list<QWidget*> {m_after, m_levels, m_row, m_group})
        control->setVisible(weights());
    if (!weights())
        return takeActivations();
    m_stats = m_subject ? m_session->stats(m_subject->index) : nullptr;
    m_plot->setAfter(std::nullopt);
    m_plot->setLevels({}, {});
    m_plot->setStats(m_stats);
    m_subject.reset();
    takeChoice();
}

const quern::LogHistogram* Distribution::counted() const
{
    const quern::InputStats* inputs = m_subject ? m_subject->inputs() : nullptr;
    const quern::LogHistogram* histogram = !inputs ? nullptr
        : values() == Values::Inputs               ? &inputs->inputs
                                                   : &inputs->outputs;
    return histogram && histogram->total() > 0 ? histogram : nullptr;
}

void Distribution::takeActivations()
{
    m_stats = nullptr;
    m_plot->setAfter(std::nullopt);
    m_plot->setLevels({}, {});
    m_plot->setStats(nullptr, values());
    describe();
    if (!counted())
        return;
    // What keeps the histogram alive goes along.
    m_activationsJob.start(
        [calibration = m_subject->calibration, histogram = counted()](quern::Progress&) {
            return std::make_shared<const quern::TensorStats>(quern::countedStats(*histogram, kActivationBins));
        },
        [this](std::shared_ptr<const quern::TensorStats> stats) {
            m_stats = std::move(stats);
            m_plot->setStats(m_stats, values());
            describe();
        });
}

void Distribution::takeChoice()
{
    if (!weights())
        return;
    const auto subject = subjectOf(*m_session);
    if (subject == m_subject && subject)
        return;
    m_subject = subject;
    m_errorPerStep.reset();
    {
        const QSignalBlocker rows(m_row), groups(m_group);
        const quern::Tensor* tensor = subject ? &subject->tensor() : nullptr;
        const bool quantized = subject && subject->quantized() && tensor->count() > 0;
        m_row->setMaximum(quantized ? static_cast<int>(tensor->rows() - 1) : 0);
        const long size = quantized ? quern::groupSize(*subject->choice.format, tensor->cols()) : 1;
        m_group->setMaximum(quantized ? static_cast<int>((tensor->cols() + size - 1) / size - 1) : 0);
        m_row->setEnabled(quantized);
        m_group->setEnabled(quantized);
    }
    describe();
    startSample();
    startLevels();
}

void Distribution::startSample()
{
    m_sampleJob.cancel();
    m_plot->setAfter(std::nullopt);
    if (!weights() || !m_subject || !m_subject->quantized() || !m_stats || !m_after->isChecked())
        return;
    const long stride = std::max(1L, m_subject->tensor().count() / kSampledWeights);
    m_sampleJob.start(
        [subject = *m_subject, stats = m_stats, stride](quern::Progress& progress) {
            const std::array bins {stats->centre, stats->histogram};
            return quern::quantizedSample(subject.tensor(), subject.choice, subject.knownInputs(), bins, stride,
                                          progress);
        },
        [this, subject = *m_subject](const quern::QuantizedSample& sample) { takeSample(subject, sample); });
}

void Distribution::takeSample(const Subject& subject, const quern::QuantizedSample& sample)
{
    const auto rows = static_cast<double>(subject.tensor().rows()), looked = static_cast<double>(sample.rows);
    m_errorPerStep = sample.errorPerStep;
    const QString name = looked == rows
        ? subject.formatName()
        : tr("%1, from %2 % of the rows").arg(subject.formatName(), figure(100 * looked / rows, 2));
    m_plot->setAfter(
        DistributionPlot::After {sample.histograms.at(0), sample.histograms.at(1), rows / std::max(looked, 1.0), name});
    describe();
}

void Distribution::startLevels()
{
    m_levelsJob.cancel();
    if (!weights() || !m_subject || !m_subject->quantized() || m_subject->tensor().count() == 0
        || !m_levels->isChecked())
        return m_plot->setLevels({}, {});
    m_levelsJob.start(
        [subject = *m_subject, row = m_row->value(), group = m_group->value()](quern::Progress& progress) {
            return quern::groupLevels(subject.tensor(), subject.choice, subject.knownInputs(), row, group, progress);
        },
        [this, row = m_row->value()](const quern::GroupLevels& found) {
            const long last = found.first + static_cast<long>(found.original.size()) - 1;
            m_plot->setLevels(
                found,
                tr("%1 levels of row %2, columns %3–%4").arg(found.levels.size()).arg(row).arg(found.first).arg(last));
        });
}

void Distribution::showTails(quint64 below, quint64 above)
{
    m_left->setVisible(below > 0);
    m_right->setVisible(above > 0);
    if (!m_stats)
        return;
    const QString down = weights() ? tr("◀ %L1 weights down to %2") : tr("◀ %L1 values down to %2");
    const QString up = weights() ? tr("%L1 weights up to %2 ▶") : tr("%L1 values up to %2 ▶");
    m_left->setText(down.arg(below).arg(figure(m_stats->min)));
    m_right->setText(up.arg(above).arg(figure(m_stats->max)));
}

QString Distribution::missing() const
{
    if (weights())
        return missingStats(*m_session);
    QString subject = missingSubject(*m_session);
    if (!subject.isEmpty() || counted())
        return subject;
    if (!m_session->calibration())
        return tr("Calibrate the model to see what its weights receive and give.");
    return m_subject->inputs()
        ? tr("The calibration holds no distribution for %1: llama.cpp's files have sums of squares only.")
              .arg(m_subject->name())
        : tr("The calibration knows nothing of %1.").arg(m_subject->name());
}

void Distribution::describeActivations()
{
    QString sentence = missing();
    m_plot->setPlaceholder(sentence);
    if (sentence.isEmpty() && m_stats) {
        const QString heading = values() == Values::Inputs ? tr("Inputs of %1") : tr("Outputs of %1");
        const auto& counts = m_subject->inputs()->counts;
        m_numbers->showActivations(heading.arg(m_subject->name()), *m_stats,
                                   std::accumulate(counts.begin(), counts.end(), 0.0));
        sentence = tr("%1: %L2 values, sigma %3, %L4 beyond 6 sigma.")
                       .arg(heading.arg(m_subject->name()))
                       .arg(m_stats->count)
                       .arg(figure(m_stats->std))
                       .arg(m_stats->outliers);
    } else {
        m_numbers->clearLines();
    }
    setHint(sentence);
    m_plot->setDescription(sentence);
}

void Distribution::describe()
{
    if (!weights())
        return describeActivations();
    const auto error = m_subject ? m_session->error(m_subject->index) : std::nullopt;
    m_numbers->show(m_subject, m_stats.get(), error, m_errorPerStep);
    QString sentence = missing();
    m_plot->setPlaceholder(sentence);
    if (sentence.isEmpty())
        sentence = tr("%1: %L2 weights, sigma %3, %L4 beyond 6 sigma.")
                       .arg(m_subject->name())
                       .arg(m_stats->count)
                       .arg(figure(m_stats->std))
                       .arg(m_stats->outliers);
    if (error && m_subject->quantized())
        sentence += QLatin1Char(' ')
            + tr("Relative error %1 in %2.").arg(figure(error->distortion.relative()), m_subject->formatName());
    setHint(sentence);
    m_plot->setDescription(sentence);
}

} // namespace

extern constinit const View distribution;
constinit const View distribution {
    .id = "distribution",
    .title = QT_TRANSLATE_NOOP("View", "Distribution"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Distribution(session, parent); }};
