#include "app/kept.h"

#include "app/cache.h"
#include "core/evaluationfile.h"
#include "core/modelkey.h"
#include "core/plankey.h"
#include "widgets/text.h"

#include <QCoreApplication>
#include <QDir>
#include <QJsonDocument>
#include <QJsonObject>
#include <QSaveFile>

#include <mutex>

namespace {

// Share of an evaluation's work, roughly, that quantizing takes: all at once, or block by block.
constexpr double kQuantizing = 0.2, kSequence = 0.7;
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

QString calibrationsOf(const quern::Model& model)
{
    return QStringLiteral("calibration-%1-").arg(text(quern::modelKey(model).substr(0, kCharacters)));
}

// A sequence knows of its inputs what its text gives.
QString evaluationsOf(const quern::Model& model, const quern::Plan& plan, const Known& known)
{
    QString key = text(quern::planKey(plan, model, known.calibration.get()).substr(0, kCharacters));
    if (plan.sequential)
        key = cache::key(key.toLatin1() + (known.text ? known.text->key.toLatin1() : QByteArray()));
    return QStringLiteral("evaluation-%1-%2-").arg(text(quern::modelKey(model).substr(0, kCharacters)), key);
}

QString pathOf(const QString& folder, const QString& beginning, const QString& key)
{
    return QDir(folder).filePath(beginning + key + QStringLiteral(".gguf"));
}

// Beside a calibration, the text that it is of; its name begins otherwise, for it is none itself.
QString textFileOf(const QString& calibration)
{
    const QFileInfo file(calibration);
    const QString name = file.completeBaseName().replace(QStringLiteral("calibration-"), QStringLiteral("text-"));
    return file.dir().filePath(name + QStringLiteral(".json"));
}

TextRun textRunAt(const std::filesystem::path& path)
{
    constexpr qint64 kLargest = 1 << 16;
    QFile file(QFile::decodeName(path.c_str()));
    const bool open = file.open(QIODevice::ReadOnly);
    const QJsonObject json = QJsonDocument::fromJson(file.read(kLargest)).object();
    TextRun run {.path = json["path"].toString(),
                 .title = json["title"].toString(),
                 .context = json["context"].toInteger(),
                 .most = json["most"].toInteger(-1),
                 .moments = json["moments"].toBool(),
                 .sequential = json["sequential"].toBool(),
                 .key = json["key"].toString()};
    if (!open || run.path.isEmpty() || run.context < 2 || run.most < 0 || run.key.isEmpty())
        quern::fail(QUERN_TEXT("core", "%1 does not say what a calibration is of."), path.string());
    return run;
}

// Failing is no loss but of the convenience.
void writeTextRun(const TextRun& run, const QString& path)
{
    const QJsonObject json {{"path", run.path},
                            {"title", run.title},
                            {"context", qint64 {run.context}},
                            {"most", qint64 {run.most}},
                            {"moments", run.moments},
                            {"sequential", run.sequential},
                            {"key", run.key}};
    QSaveFile file(path);
    if (file.open(QIODevice::WriteOnly) && file.write(QJsonDocument(json).toJson()) >= 0)
        file.commit();
}

std::shared_ptr<const quern::Calibration> shared(quern::Calibration calibration)
{
    return std::make_shared<const quern::Calibration>(std::move(calibration));
}

quern::Model quantized(const quern::Model& model, const quern::Plan& plan, const Known& known, const QString& workspace,
                       Findings& findings, quern::Progress& progress)
{
    const Reading reading = readingFor(plan, model, known, progress);
    quern::QuantizeOptions options;
    options.workspace = nativePath(workspace);
    options.text = reading.chunks ? &*reading.chunks : nullptr;
    findings.listen(options);
    return quern::quantize(model, plan, reading.calibration, options, progress);
}

} // namespace

Known kept::calibration(const quern::Model& model, const QString& folder)
{
    const auto known = cache::readNewest(folder, calibrationsOf(model), [](const std::filesystem::path& path) {
        Known found {shared(quern::readImatrix(path)), nullptr};
        if (auto run = cache::read(textFileOf(QFile::decodeName(path.c_str())), textRunAt))
            found.text = std::make_shared<const TextRun>(std::move(*run));
        return found;
    });
    return known.value_or(Known {});
}

Known kept::calibrated(const quern::Model& model, const TextRun& run, const QString& folder, quern::Progress& progress)
{
    const std::string text = textOf(run);
    auto read = std::make_shared<TextRun>(run);
    read->key = keyOf(text, run);
    const QString file = pathOf(folder, calibrationsOf(model), read->key);
    const std::vector<std::string> names {fileNameOf(run)}; // which files that are made with it tell
    auto known = cache::read(file, quern::readImatrix);
    if (!known || known->datasets != names) {
        const quern::Chunks chunks = quern::chunksOf(quern::tokenizerOf(model), text, run.context, run.most, progress);
        quern::calibrateInto(nativePath(file), true, model, chunks, {.hessians = run.moments, .datasets = names},
                             progress);
        cache::trim(folder);
        known = quern::readImatrix(nativePath(file));
    }
    writeTextRun(*read, textFileOf(file));
    return {shared(std::move(*known)), std::move(read)};
}

std::optional<quern::Evaluation> kept::evaluation(const quern::Model& model, const quern::Plan& plan,
                                                  const Known& known, const QString& folder)
{
    return cache::readNewest(folder, evaluationsOf(model, plan, known), quern::readEvaluation);
}

kept::Evaluation kept::evaluated(const quern::Model& model, const quern::Plan& plan, const Known& known,
                                 const TextRun& run, const QString& folder, quern::Progress& progress)
{
    const std::string text = textOf(run);
    const QString file = pathOf(folder, evaluationsOf(model, plan, known), keyOf(text, run));
    if (auto figures = cache::read(file, quern::readEvaluation))
        return {.figures = std::move(*figures)};
    const quern::Chunks chunks = quern::chunksOf(quern::tokenizerOf(model), text, run.context, run.most, progress);
    Running running(progress);
    quern::EvaluateOptions options;
    options.sofar = [&](const quern::PredictionSummary& known) { running.tell(figuresSoFar(known)); };
    Evaluation found;
    if (changesAnything(plan)) {
        const double share = plan.sequential ? kSequence : kQuantizing;
        quern::ProgressPart first(running, 0, share), second(running, share, 1);
        const quern::Model made = quantized(model, plan, known, folder, found.findings, first);
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
