#include "widgets/methods.h"

#include "core/rewriting.h"
#include "core/secondmoments.h"
#include "widgets/job.h"
#include "widgets/models/methodmodel.h"
#include "widgets/session.h"
#include "widgets/table.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/subject.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QHeaderView>
#include <QPushButton>

#include <algorithm>

// Every method on the selected tensor, in the format that the plan gives it, side by side.
namespace {

class Methods final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Methods)

public:
    Methods(Session* session, QWidget* parent);

private:
    void addControls();
    void take();
    std::vector<MethodTrial> trials() const;
    std::vector<quern::Choice> neighbours() const;
    void compare();
    void next(int row);
    void finish();
    void describe();
    void use();
    QString missing() const;

    Session* m_session;
    MethodModel m_model;
    Table* m_table;
    QPushButton *m_compare, *m_stop, *m_use;
    std::optional<Subject> m_subject;
    std::vector<quern::Choice> m_neighbours;
    Job m_job; // last: ends before what it delivers to
};

// A choice for the subject after a rewrite of what feeds it.
quern::RewrittenPreview rewritten(const Subject& subject, quern::Plan plan, const quern::Choice& choice,
                                  const quern::RewriteChoice& rewrite, quern::Progress& progress)
{
    const auto index = static_cast<std::size_t>(subject.index);
    plan.tensors[index].choice = choice;
    return quern::previewRewritten(*subject.model, index, plan, rewrite, *subject.calibration, progress);
}

Methods::Methods(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
    , m_table(new Table(this))
{
    addControls();
    m_table->setModel(&m_model);
    m_table->setRootIsDecorated(false);
    m_table->setSortingEnabled(false);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setAccessibleName(tr("Methods side by side"));
    setContent(m_table);
    setFocusProxy(m_table);
    connect(m_table, &QAbstractItemView::doubleClicked, this, &Methods::use);
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, &Methods::describe);
    connect(&m_job, &Job::progressed, this,
            [this](double fraction, const QString&) { setStatus(tr("%1 %").arg(fixed(100 * fraction, 0))); });
    for (const auto signal :
         {&Session::modelChanged, &Session::calibrationChanged, &Session::recipeChanged, &Session::selectionChanged})
        connect(m_session, signal, this, &Methods::take);
    take();
}

void Methods::addControls()
{
    m_compare = new QPushButton(tr("&Compare"), this);
    m_compare->setToolTip(tr("Quantize the selected tensor by every method that its format allows"));
    m_stop = new QPushButton(tr("&Stop"), this);
    m_use = new QPushButton(tr("&Use"), this);
    m_use->setToolTip(tr("Quantize by the method of the selected line from now on, as far as Tune reaches; a rewrite "
                         "is of the whole model"));
    for (QPushButton* button : {m_compare, m_stop, m_use})
        addControl(button);
    connect(m_compare, &QPushButton::clicked, this, &Methods::compare);
    connect(m_stop, &QPushButton::clicked, this, [this] {
        m_job.cancel();
        finish();
    });
    connect(m_use, &QPushButton::clicked, this, &Methods::use);
}

QString Methods::missing() const
{
    QString subject = missingSubject(*m_session);
    if (!subject.isEmpty() || (m_subject && m_subject->quantized()))
        return subject;
    return tr("%1 is stored as it is. Choose a format in Tune to compare methods.")
        .arg(m_subject ? m_subject->name() : QString());
}

// What was found stays while only the method changes.
void Methods::take()
{
    const auto subject = subjectOf(*m_session);
    const bool same = subject && m_subject && subject->model == m_subject->model && subject->index == m_subject->index
        && subject->calibration == m_subject->calibration && subject->choice.format == m_subject->choice.format
        && subject->quantized() == m_subject->quantized();
    m_subject = subject;
    const auto& recipe = m_session->recipe();
    QStringList notes;
    if (!recipe.rewrites.empty())
        notes << tr("The recipe rescales by %1; of these, only lines that name a rewrite do.")
                     .arg(namesOf(recipe.rewrites));
    if (recipe.sequential)
        notes << tr("Tried on the tensor by itself, not block by block.");
    setNote(notes.join(u' '));
    const auto before = std::exchange(m_neighbours, neighbours());
    if (same && !m_model.renewRewritten(trials(), before != m_neighbours))
        return describe();
    m_job.cancel();
    if (same)
        return finish();
    m_model.setTrials(trials());
    m_table->header()->resizeSections(QHeaderView::ResizeToContents);
    finish();
}

// Every method; then rounding and the best known one after each rewrite.
std::vector<MethodTrial> Methods::trials() const
{
    std::vector<MethodTrial> trials;
    if (!m_subject || !m_subject->quantized())
        return trials;
    const auto& [chosen, format, settings] = m_subject->choice;
    const bool moments = quern::hasMoments(m_subject->inputs());
    const auto& rewrites = m_session->recipe().rewrites;
    const auto add = [&, &chosen = chosen, &format = format, &settings = settings](const quern::Quantizer& method) {
        MethodTrial trial {.choice = {&method, format, &method == chosen ? settings : quern::Settings {}}};
        trial.obstacle = whyNot(method, format, moments);
        return &trials.emplace_back(std::move(trial));
    };
    for (const quern::Quantizer* method : quern::quantizers())
        add(*method);
    std::vector<const quern::Quantizer*> few {quern::findQuantizer("nearest")};
    if (const quern::Quantizer* best = &quern::usualMethod(*format, moments); best != few.front())
        few.push_back(best);
    for (const quern::Rewrite* rewrite : quern::rewrites())
        for (const quern::Quantizer* method : few) {
            MethodTrial* trial = add(*method);
            const auto wanted = std::ranges::find(rewrites, rewrite, &quern::RewriteChoice::rewrite);
            trial->rewrite = wanted == rewrites.end() ? quern::RewriteChoice {rewrite, {}} : *wanted;
            if (trial->obstacle.isEmpty())
                trial->obstacle = whyNot(*rewrite, m_subject->calibration.get());
        }
    return trials;
}

// Of the other tensors of its layer, whose choices have a say in what a rewrite does.
std::vector<quern::Choice> Methods::neighbours() const
{
    std::vector<quern::Choice> choices;
    const auto plan = m_session->plan();
    for (std::size_t i = 0; m_subject && plan && i < plan->tensors.size(); ++i)
        if (static_cast<int>(i) != m_subject->index
            && quern::layerOf(m_subject->model->tensors[i].name) == quern::layerOf(m_subject->tensor().name))
            choices.push_back(plan->tensors[i].choice);
    return choices;
}

void Methods::compare()
{
    next(0);
}

// One after the other, each on all cores.
void Methods::next(int row)
{
    const auto& trials = m_model.trials();
    while (row < m_model.rowCount()
           && (trials[static_cast<std::size_t>(row)].distortion
               || !trials[static_cast<std::size_t>(row)].obstacle.isEmpty()))
        ++row;
    if (row >= m_model.rowCount())
        return finish();
    struct Tried {
        quern::RewrittenPreview found;
        double seconds = 0;
        std::optional<quern::Error> error;
    };
    const MethodTrial& trial = trials[static_cast<std::size_t>(row)];
    setStatus(tr("Trying %1…").arg(trial.name()));
    m_job.start(
        [subject = *m_subject, choice = trial.choice, rewrite = trial.rewrite,
         plan = m_session->plan()](quern::Progress& progress) {
            Tried tried;
            QElapsedTimer clock;
            clock.start();
            try {
                if (rewrite.rewrite)
                    tried.found = rewritten(subject, *plan, choice, rewrite, progress);
                else
                    tried.found = {quern::preview(subject.tensor(), choice, subject.knownInputs(), 1, progress), {}};
            } catch (const quern::Error& error) {
                tried.error = error;
            }
            tried.seconds = static_cast<double>(clock.nsecsElapsed()) * 1e-9;
            return tried;
        },
        [this, row](const Tried& tried) {
            if (tried.error)
                m_model.fail(row, sentence(*tried.error));
            else
                m_model.finish(row, tried.found, tried.seconds);
            m_table->widenColumns();
            next(row + 1);
        });
    describe();
}

void Methods::finish()
{
    setStatus({});
    describe();
}

void Methods::describe()
{
    const QString missing = this->missing();
    const bool running = m_job.running();
    const auto untried = [](const MethodTrial& trial) { return trial.obstacle.isEmpty() && !trial.distortion; };
    m_compare->setEnabled(missing.isEmpty() && !running && std::ranges::any_of(m_model.trials(), untried));
    m_stop->setVisible(running);
    m_use->setEnabled(m_table->selectionModel()->hasSelection());
    if (!missing.isEmpty())
        return setHint(missing);
    const auto tried = [](const MethodTrial& trial) { return trial.distortion.has_value(); };
    const int best = std::ranges::count_if(m_model.trials(), tried) > 1 ? m_model.best() : -1;
    const QString subject = tr("%1 as %2").arg(m_subject->name(), m_subject->formatName());
    setHint(best < 0 ? tr("%1: Compare tries every method on it.").arg(subject)
                     : tr("%1: %2 loses least.").arg(subject, m_model.trials()[static_cast<std::size_t>(best)].name()));
}

void Methods::use()
{
    const QModelIndexList rows = m_table->selectionModel()->selectedRows();
    if (rows.isEmpty())
        return;
    const MethodTrial& trial = m_model.trials()[static_cast<std::size_t>(rows.front().row())];
    m_session->wantChoice(trial.choice, trial.rewrite);
}

} // namespace

extern constinit const View methods;
constinit const View methods {
    .id = "methods",
    .title = QT_TRANSLATE_NOOP("View", "Methods"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Methods(session, parent); }};
