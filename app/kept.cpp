#include "app/kept.h"

#include "app/cache.h"
#include "core/calibrate.h"
#include "core/chunks.h"
#include "core/evaluationfile.h"
#include "core/modelkey.h"
#include "core/plankey.h"
#include "widgets/text.h"

#include <QCoreApplication>
#include <QDir>

#include <mutex>

namespace {

constexpr double kQuantizing = 0.2;     // share of an evaluation's work, roughly
constexpr std::size_t kCharacters = 24; // of a key in a name

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
    const QString perplexity
        = QCoreApplication::translate("MainWindow", "perplexity %1").arg(figure(known.perplexity, 4));
    return known.compared ? QCoreApplication::translate("MainWindow", "%1, KL divergence %2 so far")
                                .arg(perplexity, figure(known.divergence.value))
                          : QCoreApplication::translate("MainWindow", "%1 so far").arg(perplexity);
}

bool changesAnything(const quern::Plan& plan)
{
    return !plan.rewrites.empty()
        || std::ranges::any_of(plan.tensors, [](const auto& tensor) { return tensor.choice.quantizer != nullptr; });
}

// What has been read and how, whatever it is called.
QString keyOf(const std::string& text, const TextRun& run)
{
    return cache::key(QByteArray::fromStdString(text) + '\0' + QByteArray::number(qlonglong {run.context}) + '\0'
                      + QByteArray::number(qlonglong {run.most}) + '\0' + QByteArray::number(int {run.moments}));
}

QString calibrationsOf(const quern::Model& model)
{
    return QStringLiteral("calibration-%1-").arg(text(quern::modelKey(model).substr(0, kCharacters)));
}

QString evaluationsOf(const quern::Model& model, const quern::Plan& plan, const quern::Calibration* calibration)
{
    return QStringLiteral("evaluation-%1-%2-")
        .arg(text(quern::modelKey(model).substr(0, kCharacters)),
             text(quern::planKey(plan, model, calibration).substr(0, kCharacters)));
}

QString pathOf(const QString& folder, const QString& beginning, const QString& key)
{
    return QDir(folder).filePath(beginning + key + QStringLiteral(".gguf"));
}

quern::Model quantized(const quern::Model& model, const quern::Plan& plan, const quern::Calibration* calibration,
                       const QString& workspace, Findings& findings, quern::Progress& progress)
{
    quern::QuantizeOptions options;
    options.workspace = nativePath(workspace);
    findings.listen(options);
    return quern::quantize(model, plan, calibration, options, progress);
}

} // namespace

std::optional<quern::Calibration> kept::calibration(const quern::Model& model, const QString& folder)
{
    return cache::readNewest(folder, calibrationsOf(model), quern::readImatrix);
}

quern::Calibration kept::calibrated(const quern::Model& model, const TextRun& run, const QString& folder,
                                    quern::Progress& progress)
{
    const std::string text = textOf(run);
    const QString file = pathOf(folder, calibrationsOf(model), keyOf(text, run));
    if (auto known = cache::read(file, quern::readImatrix))
        return std::move(*known);
    const quern::Chunks chunks = quern::chunksOf(quern::tokenizerOf(model), text, run.context, run.most, progress);
    quern::calibrateInto(nativePath(file), true, model, chunks,
                         {.hessians = run.moments, .datasets = {run.title.toStdString()}}, progress);
    cache::trim(folder);
    return quern::readImatrix(nativePath(file));
}

std::optional<quern::Evaluation> kept::evaluation(const quern::Model& model, const quern::Plan& plan,
                                                  const quern::Calibration* calibration, const QString& folder)
{
    return cache::readNewest(folder, evaluationsOf(model, plan, calibration), quern::readEvaluation);
}

kept::Evaluation kept::evaluated(const quern::Model& model, const quern::Plan& plan,
                                 const quern::Calibration* calibration, const TextRun& run, const QString& folder,
                                 quern::Progress& progress)
{
    const std::string text = textOf(run);
    const QString file = pathOf(folder, evaluationsOf(model, plan, calibration), keyOf(text, run));
    if (auto known = cache::read(file, quern::readEvaluation))
        return {.figures = std::move(*known)};
    const quern::Chunks chunks = quern::chunksOf(quern::tokenizerOf(model), text, run.context, run.most, progress);
    Running running(progress);
    quern::EvaluateOptions options;
    options.sofar = [&](const quern::PredictionSummary& known) { running.tell(figuresSoFar(known)); };
    Evaluation found;
    if (changesAnything(plan)) {
        quern::ProgressPart first(running, 0, kQuantizing), second(running, kQuantizing, 1);
        const quern::Model made = quantized(model, plan, calibration, folder, found.findings, first);
        found.figures = quern::evaluate(made, model, chunks, options, second);
    } else {
        found.figures = quern::evaluate(model, chunks, options, running);
    }
    found.figures.text = run.title.toStdString();
    try {
        quern::writeEvaluation(found.figures, nativePath(file), true);
        cache::trim(folder);
    } catch (const quern::Error& error) {
        found.loss = error; // the figures are worth more than the file
    }
    return found;
}
