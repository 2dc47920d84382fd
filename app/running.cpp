// What runs the model: evaluation and calibration.
#include "app/cache.h"
#include "app/kept.h"
#include "app/mainwindow.h"
#include "core/calibrate.h"
#include "core/network.h"
#include "core/preset.h"
#include "core/secondmoments.h"
#include "widgets/infobar.h"
#include "widgets/methods.h"
#include "widgets/text.h"

#include <QDir>
#include <QStatusBar>

namespace {

constexpr int kMessage = 10000; // ms

QString nameOf(const quern::Recipe& recipe)
{
    if (!recipe.name.empty())
        return text(recipe.name);
    QString name = recipe.preset ? text(recipe.preset->name) : MainWindow::tr("Own recipe");
    if (!recipe.rewrites.empty())
        name = MainWindow::tr("%1, rescaled by %2").arg(name, namesOf(recipe.rewrites));
    if (recipe.sequential)
        name = MainWindow::tr("%1 (block by block)").arg(name);
    return recipe.preset && !recipe.rules.empty() ? MainWindow::tr("%1, tuned").arg(name) : name;
}

// That the preset's types are quantized by another method now that second moments are known; empty if they are not.
QString usualMethodNow(const quern::Recipe& recipe, const quern::Calibration& calibration)
{
    const quern::BlockFormat* format = recipe.preset ? quern::findBlockFormat(recipe.preset->format) : nullptr;
    if (!format || recipe.method || !quern::hasMoments(&calibration))
        return {};
    const quern::Quantizer &before = quern::usualMethod(*format, false), &now = quern::usualMethod(*format, true);
    return &before == &now ? QString()
                           : u' ' + MainWindow::tr("The preset is quantized by %1 from now on.").arg(text(now.name));
}

struct Calibrated {
    Known known;
    quern::Recipe recipe;
    Resolved resolved; // of both
};

QString titleOf(const Known& known)
{
    QStringList names;
    for (const std::string& name : known.calibration->datasets)
        names << text(name);
    return known.text ? known.text->title : names.join(QStringLiteral(", "));
}

Calibrated withPlan(Known known, quern::Recipe recipe, const quern::Model& model)
{
    Resolved plan = resolved(recipe, model, known.calibration.get());
    return {std::move(known), std::move(recipe), std::move(plan)};
}

// What a model begins with that has been calibrated before.
Calibrated calibratedBefore(const quern::Model& model, quern::Recipe recipe, const QString& folder)
{
    Known known = kept::calibration(model, folder);
    if (!known.calibration)
        return {};
    if (known.text && known.text->sequential)
        recipe.sequential.emplace();
    return withPlan(std::move(known), std::move(recipe), model);
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
                found.calibrated = calibratedBefore(*model, recipe, folder);
            } catch (const quern::Error& error) {
                found.obstacle = error;
            }
            return found;
        },
        [this, recipe = m_session.recipe()](Found found) {
            m_runObstacle
                = found.obstacle ? tr("The model cannot be run: %1").arg(sentence(*found.obstacle)) : QString();
            enableActions();
            Known& known = found.calibrated.known;
            if (known.calibration && recipe == m_session.recipe() && !m_session.calibration()) {
                statusBar()->showMessage(tr("Calibrated earlier, on %1.").arg(titleOf(known)), kMessage);
                m_session.setCalibration(std::move(known.calibration), found.calibrated.resolved,
                                         std::move(known.text));
                m_session.setRecipe(std::move(found.calibrated.recipe), std::move(found.calibrated.resolved));
            }
            emit examined();
        });
}

// Shows what was found before of the model under this plan. Plans change quickly while a control is dragged: only the
// last one is looked up.
void MainWindow::recallEvaluation()
{
    if (!m_session.plan() || m_session.evaluationIsCurrent())
        return m_recalling.cancel();
    auto evaluated = std::make_shared<Evaluated>();
    evaluated->plan = m_session.plan();
    evaluated->calibration = m_session.calibration();
    evaluated->recipe = nameOf(m_session.recipe());
    m_recalling.start([model = m_session.model(), evaluated, known = this->known(), folder = m_settings->cacheFolder()](
                          quern::Progress&) { return kept::evaluation(*model, *evaluated->plan, known, folder); },
                      [this, evaluated](std::optional<quern::Evaluation> figures) {
                          if (!figures || m_session.evaluationIsCurrent())
                              return;
                          evaluated->figures = std::move(*figures);
                          m_session.setEvaluation(evaluated);
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
    const QString folder = m_settings->cacheFolder();
    if (!QDir().mkpath(folder))
        return refuse(tr("The model cannot be evaluated"), tr("The folder %1 cannot be made.").arg(folder));
    auto evaluated = std::make_shared<Evaluated>();
    evaluated->plan = m_session.plan();
    evaluated->calibration = m_session.calibration();
    evaluated->recipe = nameOf(m_session.recipe());
    m_jobs.submit(
        tr("Evaluate %1").arg(evaluated->recipe),
        [model = m_session.model(), evaluated, known = this->known(), run, folder](quern::Progress& progress) {
            return kept::evaluated(*model, *evaluated->plan, known, run, folder, progress);
        },
        [this, model = m_session.model(), evaluated](kept::Evaluation found) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            evaluated->figures = std::move(found.figures);
            if (found.loss)
                statusBar()->showMessage(tr("The figures cannot be kept: %1").arg(sentence(*found.loss)), kMessage);
            if (!found.findings.rewrites.isEmpty() || !found.findings.warnings.isEmpty())
                tell(tr("%1 evaluated.").arg(evaluated->recipe), found.findings);
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
            Known known = kept::calibrated(*model, run, folder, progress);
            if (!target.isEmpty()) {
                quern::writeCalibration(*known.calibration, nativePath(target), false, progress);
                auto saved = std::make_shared<quern::Calibration>(*known.calibration);
                saved->path = nativePath(target);
                known.calibration = std::move(saved);
            }
            return withPlan(std::move(known), recipe, *model);
        },
        [this, model = m_session.model(), recipe = m_session.recipe(), run](Calibrated result) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            if (recipe != m_session.recipe())
                return calibrate(run, {}); // the plan is of a recipe that has been changed meanwhile; the rest is kept
            showCalibrated(result.known);
            m_session.setCalibration(std::move(result.known.calibration), std::move(result.resolved),
                                     std::move(result.known.text));
            useSequence(run.sequential);
        });
}

// As was asked for with the calibration; a change like any other.
void MainWindow::useSequence(bool sequential)
{
    quern::Recipe recipe = m_editor.wanted();
    if (recipe.sequential.has_value() == sequential)
        return;
    recipe.sequential = sequential ? std::optional(quern::Settings {}) : std::nullopt;
    m_editor.change(std::move(recipe), sequential ? tr("Block by block") : tr("Not block by block"));
}

Known MainWindow::known() const
{
    return {m_session.calibration(), m_session.text()};
}

void MainWindow::showCalibrated(const Known& known)
{
    QStringList doubts;
    for (const std::string& sentence : quern::shortcomings(*known.calibration))
        doubts << text(sentence);
    m_info->tell(
        doubts.isEmpty() ? InfoBar::Tone::Hint : InfoBar::Tone::Warning,
        tr("Calibrated on %1: the inputs of %2 are known. Presets may give some tensors other types now; "
           "Distribution, Channels and Overview show what the weights receive.")
                .arg(titleOf(known), tensorsText(static_cast<int>(known.calibration->inputs.size())))
            + usualMethodNow(m_session.recipe(), *known.calibration)
            + (known.text->sequential ? u' ' + tr("Export and Evaluate go block by block on this text.") : QString()),
        doubts);
}

void MainWindow::clearCache()
{
    cache::clear(m_settings->cacheFolder());
    statusBar()->showMessage(tr("The kept results have been removed."), kMessage);
}
