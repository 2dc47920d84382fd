#include "core/preset.h"
#include "core/quantize.h"
#include "tests/core/judgeprocess.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace fs = std::filesystem;
using namespace quern;

// Every preset that can be written, on every test model, opens in llama.cpp and in Hugging Face's reader. The two
// larger models take minutes under sanitizers: all of their presets run with QUERN_ALL_PRESETS set, else two.
class TestPresetsLlama : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;

private slots:
    void opensElsewhere_data();
    void opensElsewhere();
};

namespace {

// Whether every format that it gives to a tensor of the model has an encoder.
bool writable(const Preset& preset, const Model& model)
{
    const Recipe recipe {.name = {}, .preset = &preset, .rules = {}};
    return std::ranges::all_of(
        resolve(recipe, model, nullptr, Purpose::Sizes).tensors,
        [](const PlannedTensor& tensor) { return !tensor.choice.quantizer || tensor.choice.format->encode; });
}

} // namespace

void TestPresetsLlama::opensElsewhere_data()
{
    QTest::addColumn<QString>("path");
    QTest::addColumn<QString>("preset");
    const QString shared = QUERN_SHARED_DIR;
    for (const QString& path : {shared + "/demo-model/demo", shared + "/models/stories260K",
                                shared + "/models/babyllama-tok361", shared + "/models/prose-qwen2"}) {
        const std::optional<Model> model
            = QFile::exists(path) ? std::optional(openModel(path.toStdString())) : std::nullopt;
        for (const Preset& preset : presets()) {
            const bool large = !path.endsWith("stories260K");
            if (large && !qEnvironmentVariableIsSet("QUERN_ALL_PRESETS") && preset.name != "Q8_0"
                && preset.name != "Q4_0")
                continue;
            if (model && !writable(preset, *model))
                continue;
            QTest::addRow("%s %s", qPrintable(QFileInfo(path).fileName()), std::string(preset.name).c_str())
                << path << QString::fromStdString(std::string(preset.name));
        }
    }
}

void TestPresetsLlama::opensElsewhere()
{
    QFETCH(QString, path);
    QFETCH(QString, preset);
    if (!QFile::exists(path))
        QSKIP(qPrintable(path + " is not on this machine."));
    const Model model = openModel(path.toStdString());
    const Recipe recipe {.name = {}, .preset = findPreset(preset.toStdString()), .rules = {}};
    const Plan sizes = resolve(recipe, model, nullptr, Purpose::Sizes);
    const fs::path file = m_folder.filePath("out.gguf").toStdString();
    NoProgress progress;
    ExportOptions options;
    options.coarse = true;
    options.overwrite = true;
    exportModel(model, resolve(recipe, model, nullptr), nullptr, file, options, progress);
    QCOMPARE(fs::file_size(file), sizes.fileBytes);
    if (!judge::absent().isEmpty())
        QSKIP(qPrintable(judge::absent()));
    const judge::Verdict llama = judge::run({"load", QString::fromStdString(file)});
    QVERIFY2(llama.works, qPrintable(llama.text));
    QProcess reader;
    reader.start("node", {QUERN_SOURCE_DIR "/tests/judge/gguf-read.mjs", QString::fromStdString(file)});
    if (!reader.waitForStarted())
        QSKIP("Node.js is not installed.");
    QVERIFY(reader.waitForFinished(60'000));
    QVERIFY2(reader.exitCode() == 0, reader.readAllStandardError().constData());
}

QTEST_GUILESS_MAIN(TestPresetsLlama)
#include "tst_presets_llama.moc"
