#pragma once

#include "core/preset.h"
#include "core/quantize.h"
#include "tests/judge/library.h"

#include <QFile>
#include <QProcess>
#include <QString>

#include <string>

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

// All weights decoded: what llama.cpp computes then depends on names, order and metadata alone.
inline void exportAsF32(const quern::Model& model, const std::string& path)
{
    quern::Recipe recipe;
    recipe.preset = quern::findPreset("F32");
    const quern::Plan plan = quern::resolve(recipe, model, nullptr);
    quern::NoProgress progress;
    quern::exportModel(model, plan, nullptr, path, {}, progress);
}

} // namespace judge
