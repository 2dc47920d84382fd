#include "widgets/job.h"
#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/distributionplot.h"
#include "widgets/views/numberspanel.h"
#include "widgets/views/subject.h"

#include <QCheckBox>
#include <QLabel>
#include <QSpinBox>
#include <QSplitter>
#include <QToolButton>

#include <algorithm>
#include <array>

// How the selected tensor's weights are distributed, what quantization makes of them, and the values one group of them
// can take.
namespace {

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
    void takeTensor(); // another tensor, or its stats came
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
    QCheckBox *m_log, *m_after, *m_levels;
    QSpinBox *m_row, *m_group;
    QToolButton *m_left, *m_right;
    Job m_sampleJob, m_levelsJob; // last: they end before what they deliver to
};

Distribution::Distribution(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
{
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
    m_log = addSwitch(tr("&Log counts"), true);
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
        button->setToolTip(tr("Show all weights"));
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
    connect(m_session, &Session::calibrationChanged, this, &Distribution::takeChoice);
    connect(m_session, &Session::statsChanged, this, [this](int tensor) {
        if (m_subject && m_subject->index == tensor)
            takeTensor();
    });
    connect(m_session, &Session::errorChanged, this, [this](int tensor) {
        if (m_subject && m_subject->index == tensor)
            describe();
    });
    for (Job* job : {&m_sampleJob, &m_levelsJob})
        connect(job, &Job::failed, this, [this](const quern::Error& error) { setHint(sentence(error)); });
}

void Distribution::takeTensor()
{
    m_sampleJob.cancel();
    m_levelsJob.cancel();
    m_subject = subjectOf(*m_session);
    m_stats = m_subject ? m_session->stats(m_subject->index) : nullptr;
    m_plot->setAfter(std::nullopt);
    m_plot->setLevels({}, {});
    m_plot->setStats(m_stats);
    m_subject.reset();
    takeChoice();
}

void Distribution::takeChoice()
{
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
    if (!m_subject || !m_subject->quantized() || !m_stats || !m_after->isChecked())
        return;
    const long stride = std::max(1L, m_subject->tensor().count() / kSampledWeights);
    m_sampleJob.start(
        [subject = *m_subject, stats = m_stats, stride](quern::Progress& progress) {
            const std::array bins {stats->centre, stats->histogram};
            return quern::quantizedSample(subject.tensor(), subject.choice, subject.inputs(), bins, stride, progress);
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
    if (!m_subject || !m_subject->quantized() || m_subject->tensor().count() == 0 || !m_levels->isChecked())
        return m_plot->setLevels({}, {});
    m_levelsJob.start(
        [subject = *m_subject, row = m_row->value(), group = m_group->value()](quern::Progress& progress) {
            return quern::groupLevels(subject.tensor(), subject.choice, subject.inputs(), row, group, progress);
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
    m_left->setText(tr("◀ %L1 weights down to %2").arg(below).arg(figure(m_stats->min)));
    m_right->setText(tr("%L1 weights up to %2 ▶").arg(above).arg(figure(m_stats->max)));
}

void Distribution::describe()
{
    const auto error = m_subject ? m_session->error(m_subject->index) : std::nullopt;
    m_numbers->show(m_subject, m_stats.get(), error, m_errorPerStep);
    const QString missing = missingStats(*m_session);
    QString sentence = missing;
    if (missing.isEmpty())
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
    m_plot->setPlaceholder(missing);
}

} // namespace

extern constinit const View distribution;
constinit const View distribution {
    .id = "distribution",
    .title = QT_TRANSLATE_NOOP("View", "Distribution"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Distribution(session, parent); }};
