#include "core/calibrate.h"

#include "core/gguf.h"
#include "tests/core/forwardrun.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/tinyfamilies.h"
#include "tests/core/tinygguf.h"
#include "tests/judge/llama.h"

#include <QTest>

using namespace quern;

// What llama.cpp makes of the same text, and of our files.
class CalibrateLlamaTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    NoProgress m_progress;

    std::string at(const char* name) const { return m_folder.filePath(name).toStdString(); }
    void compare(const std::string& file, const Chunks& text, double allowed);

private slots:
    void initTestCase();
    void sumsAreThoseOfLlamaImatrix_data();
    void sumsAreThoseOfLlamaImatrix();
    void sumsOfExpertsAreThoseOfLlamaImatrix_data();
    void sumsOfExpertsAreThoseOfLlamaImatrix();
    void llamaCppQuantizesWithOurFile();
};

void CalibrateLlamaTest::initTestCase()
{
    if (const QString absent = judge::absent(); !absent.isEmpty())
        QSKIP(qPrintable(absent));
}

// allowed: relative, of each sum to the largest of its weight's.
void CalibrateLlamaTest::compare(const std::string& file, const Chunks& text, double allowed)
{
    const auto expected = judge::Llama::open(file, {.exact = true, .threads = 2})
                              .inputSums(text.tokens, static_cast<int>(text.context));
    const Calibration found = calibrate(openModel(file), text, {}, m_progress);
    QCOMPARE(found.inputs.size(), expected.size());
    for (const auto& [name, sums] : expected) {
        const InputStats* stats = found.find(name);
        QVERIFY2(stats, name.c_str());
        QCOMPARE(stats->counts, sums.counts);
        const Eigen::Map<const Eigen::Matrix<double, -1, -1, Eigen::RowMajor>> squares(
            sums.squares.data(), stats->sumSquares.rows(), stats->sumSquares.cols());
        QCOMPARE(static_cast<long>(sums.squares.size()), stats->sumSquares.size());
        const double error = ((stats->sumSquares - squares).array() / squares.array().max(1e-12)).abs().maxCoeff();
        QVERIFY2(error < allowed, qPrintable(QString("%1: %2").arg(name.c_str()).arg(error)));
    }
}

void CalibrateLlamaTest::sumsAreThoseOfLlamaImatrix_data()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "qwen2", "qwen3", "gemma2", "gemma3-pattern", "phi3"})
        QTest::newRow(row) << row;
    QTest::newRow("stories260K") << "stories260K";
    QTest::newRow("prose-qwen2") << "prose-qwen2";
}

void CalibrateLlamaTest::sumsAreThoseOfLlamaImatrix()
{
    QFETCH(QString, row);
    tiny::Folder folder;
    std::string source = QUERN_SHARED_DIR "/models/" + row.toStdString();
    const bool isTiny = !row.contains("stories") && !row.contains("prose");
    if (isTiny) {
        tiny::fill(folder, row.toStdString());
        source = folder.written();
    } else if (!QFile::exists(QString::fromStdString(source))) {
        QSKIP("models/stories260K or models/prose-qwen2 is absent");
    }
    const Model model = openModel(source);
    judge::exportAsF32(model, at("model.gguf"));
    const long vocabulary = model.find("token_embd.weight")->shape[0];
    // ggml takes GELU from a table of half floats.
    compare(at("model.gguf"), {32, forwardrun::someTokens(96, vocabulary)}, row.startsWith("gemma") ? 5e-3 : 1e-3);
    QFile::remove(m_folder.filePath("model.gguf"));
}

void CalibrateLlamaTest::sumsOfExpertsAreThoseOfLlamaImatrix_data()
{
    QTest::addColumn<QString>("row");
    for (const tinygguf::Case& c : tinygguf::cases())
        QTest::newRow(c.row) << c.row;
}

void CalibrateLlamaTest::sumsOfExpertsAreThoseOfLlamaImatrix()
{
    QFETCH(QString, row);
    for (const tinygguf::Case& c : tinygguf::cases())
        if (row == c.row)
            writeModel(c.make(), at("model.gguf"), true, m_progress);
    compare(at("model.gguf"), {24, forwardrun::someTokens(96, tinygguf::kTokens)}, row == "gpt2" ? 5e-3 : 1e-3);
}

void CalibrateLlamaTest::llamaCppQuantizesWithOurFile()
{
    constexpr int kIq2Xxs = 19; // cannot be had without an importance matrix
    const std::string source = QUERN_SHARED_DIR "/models/prose-qwen2";
    if (!QFile::exists(QString::fromStdString(source)))
        QSKIP("models/prose-qwen2 is absent");
    const Model model = openModel(source);
    judge::exportAsF32(model, at("source.gguf"));
    const Chunks text {64, forwardrun::someTokens(128, model.find("token_embd.weight")->shape[0])};
    const Calibration made = calibrateInto(at("cal.gguf"), false, model, text, {.hessians = true}, m_progress);
    const judge::Importance read = judge::importanceIn(at("cal.gguf"));
    QCOMPARE(read.size(), made.inputs.size());
    for (const auto& [name, stats] : made.inputs)
        QCOMPARE(read.at(name), stats.importance(0));
    bool refused = false;
    try {
        judge::quantize(at("source.gguf"), at("without.gguf"), kIq2Xxs, 2);
    } catch (const std::runtime_error&) {
        refused = true;
    }
    QVERIFY(refused);
    judge::quantize(at("source.gguf"), at("with.gguf"), kIq2Xxs, 2, read);
    QCOMPARE(openModel(at("with.gguf")).find("blk.1.ffn_up.weight")->format->name, std::string_view("IQ2_XXS"));
}

QTEST_GUILESS_MAIN(CalibrateLlamaTest)
#include "tst_calibrate_llama.moc"
