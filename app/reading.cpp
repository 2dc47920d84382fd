#include "app/reading.h"

#include "app/cache.h"
#include "core/error.h"

#include <QFile>
#include <QFileInfo>

namespace {

constexpr qint64 kLargest = (qint64 {2} << 30) - 1; // bytes of a text

std::string bytesOf(const QString& path)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        quern::fail(QUERN_TEXT("core", "The text %1 cannot be read: %2."), path.toStdString(),
                    file.errorString().toStdString());
    if (file.size() > kLargest)
        quern::fail(QUERN_TEXT("core", "The text %1 has %2 bytes; at most %3 can be read."), path.toStdString(),
                    file.size(), kLargest);
    return file.readAll().toStdString();
}

} // namespace

std::string textOf(const TextRun& run)
{
    std::string text = bytesOf(run.path);
    if (!run.key.isEmpty() && keyOf(text, run) != run.key)
        quern::fail(QUERN_TEXT("core",
                               "The text %1 has been changed since the model was calibrated on it. Calibrate again, on "
                               "what it is now or on another text."),
                    run.path.toStdString());
    return text;
}

QString keyOf(const std::string& text, const TextRun& run)
{
    return cache::key(QByteArray::fromStdString(text) + '\0' + QByteArray::number(qlonglong {run.context}) + '\0'
                      + QByteArray::number(qlonglong {run.most}) + '\0' + QByteArray::number(int {run.moments}));
}

quern::Chunks chunksOf(const quern::Model& model, const TextRun& run, const quern::Progress& progress)
{
    return quern::chunksOf(quern::tokenizerOf(model), textOf(run), run.context, run.most, progress);
}

std::string fileNameOf(const TextRun& run)
{
    return QFileInfo(run.path).fileName().toStdString();
}

Reading readingFor(const quern::Plan& plan, const quern::Model& model, const Known& known,
                   const quern::Progress& progress)
{
    if (!plan.sequential)
        return {known.calibration.get(), std::nullopt};
    if (!known.text)
        quern::fail(
            QUERN_TEXT("core",
                       "The recipe quantizes block by block, which needs a text to run the model on, and none is "
                       "known. Calibrate the model on one, or do without block by block."));
    return {plan.rewrites.empty() ? nullptr : known.calibration.get(), chunksOf(model, *known.text, progress)};
}
