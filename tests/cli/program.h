#pragma once

#include "core/gguf.h"
#include "tests/core/modelmaker.h"

#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <nlohmann/json.hpp>

// Shows both where they differ.
#define COMPARE_JSON(actual, expected)                                                                                 \
    QCOMPARE(nlohmann::json(actual).dump().c_str(), nlohmann::json(expected).dump().c_str())

// What tests of quern-cli share.
namespace cli {

using Json = nlohmann::json;

struct Outcome {
    int status = -1;
    QByteArray out, err;
    Json json() const { return Json::parse(out.toStdString()); }
};

// Runs quern-cli to its end, without a display, where numbers are written with a comma.
inline Outcome run(const QStringList& arguments, const QByteArray& input = {})
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("DISPLAY");
    environment.insert("LC_ALL", "de_DE.UTF-8"); // our numbers have a point all the same
    process.setProcessEnvironment(environment);
    process.start(QUERN_BIN_DIR "/quern-cli", arguments);
    process.write(input);
    process.closeWriteChannel();
    if (!process.waitForFinished(120'000) || process.exitStatus() != QProcess::NormalExit)
        return {};
    return {process.exitCode(), process.readAllStandardOutput(), process.readAllStandardError()};
}

// A llama of two layers with weights, as a GGUF file.
inline void writeSmallModel(const QString& path, bool withNan = false)
{
    quern::Model outline = modelmaker::llama(
        {.layers = 2, .width = 256, .hidden = 512, .keyWidth = 128, .vocabulary = 320, .heads = 8, .keyHeads = 4});
    quern::Model model;
    model.metadata = outline.metadata;
    std::uint64_t seed = 0;
    for (const quern::Tensor& tensor : outline.tensors) {
        auto weights = modelmaker::normalWeights(static_cast<std::size_t>(tensor.count()), ++seed);
        if (withNan && tensor.name == "blk.1.attn_q.weight")
            weights[5] = weights[700] = std::numeric_limits<float>::quiet_NaN();
        modelmaker::add(model, tensor.name, tensor.shape, weights, tensor.shape.size() == 1 ? "F32" : "BF16");
    }
    quern::NoProgress progress;
    quern::writeModel(model, path.toStdString(), false, progress);
}

inline void write(const QString& path, const char* text)
{
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(text);
}

} // namespace cli
