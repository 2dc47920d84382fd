#pragma once

#include "core/gguf.h"
#include "core/model.h"
#include "tests/judge/library.h"

#include <QFile>
#include <QProcess>
#include <QString>

#include <memory>
#include <string>
#include <vector>

// llama.cpp's opinion on a file, from a process of its own (tests/judge).
namespace judge {

struct Verdict {
    bool works;
    QString text; // what it printed, or why it does not work
};

inline QString program()
{
    return QStringLiteral(QUERN_BIN_DIR "/judge");
}

// Why it cannot judge; empty if it can.
inline QString absent()
{
    const QString library = QString::fromStdString(Library::folder()) + "/libggml-base.so";
    if (!QFile::exists(library))
        return QString("llama.cpp is absent: run npm ci in tests/judge (%1)").arg(library);
    return QFile::exists(program()) ? QString() : QString("%1 is not built").arg(program());
}

inline Verdict run(const QStringList& arguments)
{
    QProcess process;
    process.start(program(), arguments);
    if (!process.waitForFinished(-1))
        return {false, process.errorString()};
    const bool works = process.exitStatus() == QProcess::NormalExit && process.exitCode() == 0;
    return {works, QString::fromUtf8(works ? process.readAllStandardOutput() : process.readAllStandardError())};
}

struct Buffers final : quern::Storage {
    std::vector<quern::Matrix> values;
};

// All weights decoded: what llama.cpp computes then depends on names, order and metadata alone.
inline void writeAsF32(const quern::Model& model, const std::string& path)
{
    quern::Model plain = model;
    const auto buffers = std::make_shared<Buffers>();
    buffers->values.reserve(model.tensors.size());
    for (quern::Tensor& tensor : plain.tensors) {
        const quern::Matrix& w = buffers->values.emplace_back(quern::decoded(tensor));
        tensor.format = quern::findBlockFormat("F32");
        tensor.bytes = std::as_bytes(std::span(w.data(), static_cast<std::size_t>(w.size())));
        tensor.headRows = 0;
    }
    plain.storage.push_back(buffers);
    quern::NoProgress progress;
    quern::writeModel(plain, path, true, progress);
}

} // namespace judge
