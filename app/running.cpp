// What runs the model: evaluation.
#include "app/mainwindow.h"
#include "app/paths.h"
#include "core/chunks.h"
#include "core/network.h"
#include "core/preset.h"
#include "widgets/text.h"

#include <QDir>

#include <mutex>

namespace {

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

} // namespace

// Looks whether the model can be run at all; reading its vocabulary may take a while.
void MainWindow::examineModel()
{
    m_runObstacle = tr("The model is being examined.");
    enableActions();
    m_examining.start(
        [model = m_session.model()](quern::Progress&) -> std::optional<quern::Error> {
            try {
                quern::openNetwork(*model);
                quern::tokenizerOf(*model);
            } catch (const quern::Error& error) {
                return error;
            }
            return std::nullopt;
        },
        [this](const std::optional<quern::Error>& obstacle) {
            m_runObstacle = obstacle ? tr("The model cannot be run: %1").arg(sentence(*obstacle)) : QString();
            enableActions();
            emit examined();
        });
}

void MainWindow::chooseEvaluation()
{
    if (!m_evaluate->isEnabled())
        return refuse(tr("The model cannot be evaluated"), m_evaluate->toolTip());
    auto* dialog = new RunDialog(&m_session, m_settings->folder(), this);
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
