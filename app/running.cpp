// What runs the model: evaluation and calibration.
#include "app/cache.h"
#include "app/mainwindow.h"
#include "app/paths.h"
#include "core/calibrate.h"
#include "core/chunks.h"
#include "core/modelkey.h"
#include "core/network.h"
#include "core/preset.h"
#include "widgets/infobar.h"
#include "widgets/text.h"

#include <QDir>
#include <QStatusBar>

#include <mutex>

namespace {

constexpr int kMessage = 10000;     // ms
constexpr double kQuantizing = 0.2; // share of an evaluation's work, roughly

// Adds the figures known so far to every step.
class Running final : public quern::Progress {
public:
    explicit Running(quern::Progress& whole)
        : m_whole(whole)
    {
    }

    void tell(const QString& figures)
    {
        const std::lock_guard lock(m_guard);
        m_figures = figures.toStdString();
    }
    void report(double fraction, std::string_view step) override
    {
        const std::lock_guard lock(m_guard);
        m_whole.report(fraction, m_figures.empty() ? std::string(step) : std::string(step) + " – " + m_figures);
    }
    bool cancelled() const override { return m_whole.cancelled(); }

private:
    quern::Progress& m_whole;
    std::mutex m_guard;
    std::string m_figures;
};

QString figuresSoFar(const quern::PredictionSummary& known)
{
    const QString perplexity = MainWindow::tr("perplexity %1").arg(figure(known.perplexity, 4));
    return known.compared
        ? MainWindow::tr("%1, KL divergence %2 so far").arg(perplexity, figure(known.divergence.value))
        : MainWindow::tr("%1 so far").arg(perplexity);
}

bool changesAnything(const quern::Plan& plan)
{
    return std::ranges::any_of(plan.tensors, [](const auto& tensor) { return tensor.choice.quantizer != nullptr; });
}

QString nameOf(const quern::Recipe& recipe)
{
    if (!recipe.name.empty())
        return text(recipe.name);
    const QString preset = recipe.preset ? text(recipe.preset->name) : MainWindow::tr("Own recipe");
    return recipe.preset && !recipe.rules.empty() ? MainWindow::tr("%1, tuned").arg(preset) : preset;
}

// The model under the plan, compared with itself as it is; alone if the plan changes nothing.
quern::Evaluation evaluation(const quern::Model& model, const quern::Plan& plan, const quern::Calibration* calibration,
                             const TextRun& run, const std::filesystem::path& workspace, quern::Progress& progress)
{
    Running running(progress);
    quern::EvaluateOptions options;
    options.sofar = [&](const quern::PredictionSummary& known) { running.tell(figuresSoFar(known)); };
    const quern::Chunks chunks
        = quern::chunksOf(quern::tokenizerOf(model), textOf(run), run.context, run.most, progress);
    if (!changesAnything(plan))
        return quern::evaluate(model, chunks, options, running);
    quern::ProgressPart first(running, 0, kQuantizing), second(running, kQuantizing, 1);
    const quern::Model quantized
        = quern::quantize(model, plan, calibration, {.workspace = workspace, .done = {}}, first);
    return quern::evaluate(quantized, model, chunks, options, second);
}

struct Calibrated {
    std::shared_ptr<const quern::Calibration> calibration; // null: none
    Resolved resolved;                                     // with it
};

QString cachedCalibrations(const quern::Model& model)
{
    return QStringLiteral("calibration-%1-").arg(text(quern::modelKey(model).substr(0, 24)));
}

QString datasetsOf(const quern::Calibration& calibration)
{
    QStringList names;
    for (const std::string& name : calibration.datasets)
        names << text(name);
    return names.join(QStringLiteral(", "));
}

Calibrated withPlan(quern::Calibration calibration, const quern::Recipe& recipe, const quern::Model& model)
{
    Calibrated result {std::make_shared<const quern::Calibration>(std::move(calibration)), {}};
    result.resolved = resolved(recipe, model, result.calibration.get());
    return result;
}

// The newest calibration of the model; a file that has been damaged is none.
Calibrated keptCalibration(const quern::Model& model, const quern::Recipe& recipe, const QString& folder)
{
    const QStringList kept = cache::newest(folder, cachedCalibrations(model));
    if (kept.isEmpty())
        return {};
    try {
        return withPlan(quern::readImatrix(nativePath(kept.front())), recipe, model);
    } catch (const quern::Error&) {
        QFile::remove(kept.front());
        return {};
    }
}

// From the cache, or made and kept there.
quern::Calibration calibrated(const quern::Model& model, const TextRun& run, const QString& folder,
                              quern::Progress& progress)
{
    const std::string bytes = textOf(run);
    const QByteArray asked = QByteArray::fromStdString(bytes) + '\0' + QByteArray::number(qlonglong {run.context})
        + '\0' + QByteArray::number(qlonglong {run.most});
    const QString file = QDir(folder).filePath(cachedCalibrations(model) + cache::key(asked) + QStringLiteral(".gguf"));
    if (QFile::exists(file)) {
        cache::touch(file);
    } else {
        const quern::Chunks chunks = quern::chunksOf(quern::tokenizerOf(model), bytes, run.context, run.most, progress);
        quern::calibrateInto(nativePath(file), true, model, chunks, {.datasets = {run.title.toStdString()}}, progress);
        cache::trim(folder);
    }
    return quern::readImatrix(nativePath(file));
}

} // namespace

// Looks whether the model can be run at all, which may take a while for a large vocabulary, and whether it has been
// calibrated before.
void MainWindow::examineModel()
{
    m_runObstacle = tr("The model is being examined.");
    enableActions();
    struct Found {
        std::optional<quern::Error> obstacle;
        Calibrated calibrated;
    };
    m_examining.start(
        [model = m_session.model(), recipe = m_session.recipe(), folder = m_settings->cacheFolder()](quern::Progress&) {
            Found found;
            try {
                quern::openNetwork(*model);
                quern::tokenizerOf(*model);
                found.calibrated = keptCalibration(*model, recipe, folder);
            } catch (const quern::Error& error) {
                found.obstacle = error;
            }
            return found;
        },
        [this, recipe = m_session.recipe()](Found found) {
            m_runObstacle
                = found.obstacle ? tr("The model cannot be run: %1").arg(sentence(*found.obstacle)) : QString();
            enableActions();
            if (found.calibrated.calibration && recipe == m_session.recipe() && !m_session.calibration()) {
                statusBar()->showMessage(
                    tr("Calibrated earlier, on %1.").arg(datasetsOf(*found.calibrated.calibration)), kMessage);
                m_session.setCalibration(std::move(found.calibrated.calibration), std::move(found.calibrated.resolved));
            }
            emit examined();
        });
}

void MainWindow::chooseEvaluation()
{
    if (!m_evaluate->isEnabled())
        return refuse(tr("The model cannot be evaluated"), m_evaluate->toolTip());
    auto* dialog = new RunDialog(&m_session, RunDialog::Purpose::Evaluate, m_settings->folder(), this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &QDialog::accepted, this, [this, dialog] { evaluate(dialog->run()); });
    dialog->open();
}

void MainWindow::evaluate(const TextRun& run)
{
    const QString workspace = m_settings->cacheFolder();
    if (!QDir().mkpath(workspace))
        return refuse(tr("The model cannot be evaluated"), tr("The folder %1 cannot be made.").arg(workspace));
    auto evaluated = std::make_shared<Evaluated>();
    evaluated->plan = m_session.plan();
    evaluated->calibration = m_session.calibration();
    evaluated->recipe = nameOf(m_session.recipe());
    evaluated->text = run.title;
    m_jobs.submit(
        tr("Evaluate %1").arg(evaluated->recipe),
        [model = m_session.model(), evaluated, run, workspace](quern::Progress& progress) {
            return evaluation(*model, *evaluated->plan, evaluated->calibration.get(), run, nativePath(workspace),
                              progress);
        },
        [this, model = m_session.model(), evaluated](quern::Evaluation figures) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            evaluated->figures = std::move(figures);
            m_session.setEvaluation(evaluated);
            raiseView("output");
        });
}

void MainWindow::chooseCalibration()
{
    auto* dialog = new RunDialog(&m_session, RunDialog::Purpose::Calibrate, m_settings->folder(), this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &QDialog::accepted, this, [this, dialog] { calibrate(dialog->run(), dialog->target()); });
    dialog->open();
}

void MainWindow::calibrate(const TextRun& run, const QString& target)
{
    const QString folder = m_settings->cacheFolder();
    if (!QDir().mkpath(folder))
        return refuse(tr("The model cannot be calibrated"), tr("The folder %1 cannot be made.").arg(folder));
    m_jobs.submit(
        tr("Calibrate on %1").arg(run.title),
        [model = m_session.model(), recipe = m_session.recipe(), run, target, folder](quern::Progress& progress) {
            quern::Calibration calibration = calibrated(*model, run, folder, progress);
            if (!target.isEmpty()) {
                quern::writeCalibration(calibration, nativePath(target), false, progress);
                calibration.path = nativePath(target);
            }
            return withPlan(std::move(calibration), recipe, *model);
        },
        [this, model = m_session.model(), recipe = m_session.recipe(), run](Calibrated result) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            if (recipe != m_session.recipe())
                return calibrate(run, {}); // the plan is of a recipe that has been changed meanwhile; the rest is kept
            showCalibrated(*result.calibration);
            m_session.setCalibration(std::move(result.calibration), std::move(result.resolved));
        });
}

void MainWindow::showCalibrated(const quern::Calibration& calibration)
{
    QStringList doubts;
    for (const std::string& sentence : quern::shortcomings(calibration))
        doubts << text(sentence);
    m_info->tell(doubts.isEmpty() ? InfoBar::Tone::Hint : InfoBar::Tone::Warning,
                 tr("Calibrated on %1: the inputs of %2 are known. Presets may give some tensors other types now; "
                    "Distribution, Channels and Overview show what the weights receive.")
                     .arg(datasetsOf(calibration), tensorsText(static_cast<int>(calibration.inputs.size()))),
                 doubts);
}

void MainWindow::clearCache()
{
    cache::clear(m_settings->cacheFolder());
    statusBar()->showMessage(tr("The kept results have been removed."), kMessage);
}
