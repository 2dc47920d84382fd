#include "core/evaluate.h"

#include "core/error.h"
#include "core/forward.h"
#include "core/parallel.h"
#include "core/tokenizer.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/tinyfamilies.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <fstream>

using namespace quern;
namespace fs = std::filesystem;

namespace {

const fs::path kShared = QUERN_SHARED_DIR;

std::string contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

const Model& demo()
{
    static const Model model = openModel(QUERN_SOURCE_DIR "/resources/demo/demo");
    return model;
}

Chunks chunksOf(const Model& model, const fs::path& text, long context, long most)
{
    return chunksOf(tokenizerOf(model), contents(text), context, most, NoProgress());
}

// The first chunks of the demo's evaluation text.
Chunks demoChunks(long context, long chunks)
{
    return chunksOf(demo(), QUERN_SOURCE_DIR "/resources/demo/demo/evaluation.txt", context, chunks);
}

Evaluation evaluated(const Model& model, const Chunks& chunks)
{
    NoProgress progress;
    return evaluate(model, chunks, {}, progress);
}

// More chunks than go through a model at once.
constexpr long kMany = 17, kLong = 512;

struct Tiny {
    Tiny()
    {
        tiny::fill(folder, "llama");
        model = openModel(folder.written());
        chunks.context = kLong;
        for (long i = 0; i < kMany * kLong; ++i)
            chunks.tokens.push_back(static_cast<int>(i * i % 251));
    }

    tiny::Folder folder;
    Model model;
    Chunks chunks;
};

Evaluation compared(const Model& model, const Chunks& chunks, const EvaluateOptions& options = {})
{
    NoProgress progress;
    return evaluate(model, demo(), chunks, options, progress);
}

Model quantized(const char* preset, const Model& model = demo())
{
    Recipe recipe;
    recipe.preset = findPreset(preset);
    NoProgress progress;
    return quantize(model, resolve(recipe, model, nullptr, Purpose::Quantize), nullptr, {}, progress);
}

} // namespace

class TestEvaluate : public QObject {
    Q_OBJECT

private slots:
    void perplexityIsLlamaPerplexitys_data();
    void perplexityIsLlamaPerplexitys();
    void agreesWithTheDefinition();
    void findsNoDifferenceFromItself();
    void findsMoreDifferenceWithFewerBits();
    void agreesWithItsBaseFile();
    void isTheSameForAnyBatchAndThreads();
    void reportsOnTheWay();
    void refusesAnotherVocabulary();
    void canBeCancelled();

private:
    QTemporaryDir m_folder;
    fs::path file(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }
};

void TestEvaluate::perplexityIsLlamaPerplexitys_data()
{
    // README.md of the test models: llama-perplexity -c 256 --chunks 20, F32 weights.
    QTest::addColumn<QString>("folder");
    QTest::addColumn<QString>("text");
    QTest::addColumn<double>("expected");
    QTest::newRow("stories260K") << "models/stories260K"
                                 << "text/tinyshakespeare.txt" << 70.9859;
    QTest::newRow("babyllama-tok361") << "models/babyllama-tok361"
                                      << "text/tinyshakespeare.txt" << 15.2997;
    QTest::newRow("prose-qwen2") << "models/prose-qwen2"
                                 << "text/tinyshakespeare.txt" << 69.4900;
    QTest::newRow("demo") << "demo-model/demo"
                          << "demo-model/demo/evaluation.txt" << 2.4840;
}

void TestEvaluate::perplexityIsLlamaPerplexitys()
{
    QFETCH(QString, folder);
    QFETCH(QString, text);
    QFETCH(double, expected);
    const fs::path path = kShared / folder.toStdString();
    if (!fs::exists(path))
        QSKIP(qPrintable(QString("the test model %1 is absent").arg(folder)));
    const Model model = openModel(path);
    const Evaluation found = evaluated(model, chunksOf(model, kShared / text.toStdString(), 256, 20));
    QCOMPARE(found.predictions.tokens, 20L * 127);
    QVERIFY2(std::abs(found.predictions.perplexity / expected - 1) < 1e-3,
             qPrintable(QString::number(found.predictions.perplexity, 'f', 4)));
    qInfo().noquote() << "perplexity" << QString::number(found.predictions.perplexity, 'f', 4) << "published"
                      << expected;
}

void TestEvaluate::agreesWithTheDefinition()
{
    const Chunks chunks = demoChunks(32, 3);
    const Model other = quantized("Q4_0");
    NoProgress progress;
    double nll = 0, divergence = 0;
    for (long c = 0; c < 3; ++c) {
        const auto logitsOf = [&](const Model& model) {
            const Network network = openNetwork(model);
            Matrix hidden = embed(network, chunks.chunk(c), 32);
            for (long b = 0; b < network.sizes.blocks; ++b)
                runBlock(network, decodedBlock(network, b, progress), hidden, 32, {}, progress);
            return Eigen::MatrixXd(logits(network, hidden, {}, progress).cast<double>());
        };
        const Eigen::MatrixXd mine = logitsOf(other), reference = logitsOf(demo());
        for (long t = 16; t < 31; ++t) {
            const Eigen::ArrayXd p = reference.row(t).array().exp() / reference.row(t).array().exp().sum(),
                                 q = mine.row(t).array().exp() / mine.row(t).array().exp().sum();
            nll -= std::log(q[chunks.chunk(c)[static_cast<std::size_t>(t) + 1]]);
            divergence += (p * (p / q).log()).sum();
        }
    }
    const Evaluation found = compared(other, chunks);
    QCOMPARE(found.predictions.tokens, 45L);
    QVERIFY(std::abs(found.predictions.lnPerplexity.value - nll / 45) < 1e-6);
    QVERIFY2(std::abs(found.predictions.divergence.value / (divergence / 45) - 1) < 1e-7,
             qPrintable(QString("%1 instead of %2")
                            .arg(found.predictions.divergence.value, 0, 'g', 9)
                            .arg(divergence / 45, 0, 'g', 9)));
}

void TestEvaluate::findsNoDifferenceFromItself()
{
    const Evaluation found = compared(demo(), demoChunks(64, 2));
    QCOMPARE(found.predictions.divergence.value, 0.0);
    QCOMPARE(found.predictions.sameTop.value, 1.0);
    QCOMPARE(found.predictions.lnRatio.value, 0.0);
    QCOMPARE(found.hiddenErrors, std::vector<double>(7, 0.0)); // the embedding and six blocks
}

void TestEvaluate::findsMoreDifferenceWithFewerBits()
{
    const Chunks chunks = demoChunks(64, 4);
    double last = 0;
    for (const char* preset : {"Q8_0", "Q4_K_M", "Q2_K"}) {
        const Evaluation found = compared(quantized(preset), chunks);
        QVERIFY(found.predictions.divergence.value > 3 * last);
        QVERIFY(std::ranges::is_sorted(found.predictions.divergences));
        QVERIFY(found.predictions.sameTop.value > 0.8);
        QCOMPARE(found.hiddenErrors.size(), std::size_t {7});
        QVERIFY(found.hiddenErrors.back() > 0 && found.hiddenErrors.back() < 1);
        last = found.predictions.divergence.value;
    }
}

void TestEvaluate::agreesWithItsBaseFile()
{
    const Chunks chunks = demoChunks(64, 3);
    const fs::path path = file("base.kld");
    NoProgress progress;
    const Evaluation base = evaluate(demo(), chunks, {.logits = path, .overwrite = false, .sofar = {}}, progress);
    const Model other = quantized("Q3_K_M");
    const Evaluation direct = compared(other, chunks), read = evaluate(other, LogitFile::open(path), {}, progress);
    QCOMPARE(read.predictions.perplexity, direct.predictions.perplexity);
    QVERIFY(std::abs(read.predictions.referencePerplexity / base.predictions.perplexity - 1) < 1e-4);
    QVERIFY(std::abs(read.predictions.divergence.value - direct.predictions.divergence.value) < 2e-5);
    QCOMPARE(read.predictions.sameTop.value, direct.predictions.sameTop.value);
    QVERIFY(read.hiddenErrors.empty());
    QVERIFY_THROWS_EXCEPTION(Error,
                             evaluate(demo(), chunks, {.logits = path, .overwrite = false, .sofar = {}}, progress));
}

void TestEvaluate::isTheSameForAnyBatchAndThreads()
{
    const Tiny tiny;
    const Model other = quantized("Q4_0", tiny.model);
    NoProgress progress;
    setThreads(1);
    const Evaluation one = evaluate(other, tiny.model, tiny.chunks, {}, progress);
    setThreads(3);
    const Evaluation three = evaluate(other, tiny.model, tiny.chunks, {}, progress);
    setThreads(0);
    QCOMPARE(one.predictions.divergences, three.predictions.divergences);
    QCOMPARE(one.predictions.perplexity, three.predictions.perplexity);
    QCOMPARE(one.hiddenErrors, three.hiddenErrors);
    QVERIFY(one.predictions.divergence.value > 0);
    const Chunks last {kLong, {tiny.chunks.tokens.end() - kLong, tiny.chunks.tokens.end()}};
    const Evaluation alone = evaluate(other, tiny.model, last, {}, progress);
    QVERIFY(std::ranges::includes(one.predictions.divergences, alone.predictions.divergences));
}

void TestEvaluate::reportsOnTheWay()
{
    const Tiny tiny;
    std::vector<long> tokens;
    EvaluateOptions options;
    options.sofar = [&](const PredictionSummary& p) { tokens.push_back(p.tokens); };
    NoProgress progress;
    evaluate(tiny.model, tiny.chunks, options, progress);
    QCOMPARE(tokens, (std::vector<long> {(kMany - 1) * 255, kMany * 255}));
}

void TestEvaluate::refusesAnotherVocabulary()
{
    const fs::path path = kShared / "models/stories260K";
    if (!fs::exists(path))
        QSKIP("the test model stories260K is absent");
    NoProgress progress;
    QVERIFY_THROWS_EXCEPTION(Error, evaluate(demo(), openModel(path), demoChunks(64, 1), {}, progress));
}

void TestEvaluate::canBeCancelled()
{
    class Impatient final : public Progress {
    public:
        void report(double fraction, std::string_view) override { m_cancelled = m_cancelled || fraction > 0.3; }
        bool cancelled() const override { return m_cancelled; }

    private:
        std::atomic<bool> m_cancelled = false;
    } progress;
    const fs::path path = file("cancelled.kld");
    QVERIFY_THROWS_EXCEPTION(
        Cancelled, evaluate(demo(), demoChunks(64, 8), {.logits = path, .overwrite = false, .sofar = {}}, progress));
    QVERIFY(!fs::exists(path));
}

QTEST_GUILESS_MAIN(TestEvaluate)
#include "tst_evaluate.moc"
