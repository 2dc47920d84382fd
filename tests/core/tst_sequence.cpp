// Recipes that quantize block by block, from the recipe to the file.
#include "core/sequence.h"

#include "core/error.h"
#include "core/parallel.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "tests/core/calibraterun.h"
#include "tests/core/testfiles.h"
#include "tests/core/tinymodels.h"

#include <QTest>

#include <cmath>

using namespace quern;
using calibraterun::Watcher, tiny::modelOf;

class TestSequence final : public QObject {
    Q_OBJECT

    NoProgress m_progress;
    QTemporaryDir m_folder;

    std::filesystem::path at(const char* name) const { return m_folder.filePath(name).toStdString(); }

private slots:
    void startsAsWithoutASequence_data();
    void startsAsWithoutASequence();
    void tellsWhatOutputsLoseToTheOriginal();
    void foreseesWhatItWillKnow();
    void exportsWhatItQuantizes_data();
    void exportsWhatItQuantizes();
    void knowsTheOutputMatrix();
    void followsRewrites();
    void stopsWhenCancelled_data();
    void stopsWhenCancelled();
    void refuses_data();
    void refuses();
};

namespace {

constexpr long kContext = 24;

Chunks textFor(const Model& model, long count = 4)
{
    return calibraterun::chunks(count, kContext, openNetwork(model).sizes.vocabulary);
}

Recipe recipe(double trust, std::vector<std::string> patterns, const char* method = "gptq",
              const char* format = "INT3_G16_MIN")
{
    Recipe result;
    for (std::string& pattern : patterns)
        result.rules.push_back({std::move(pattern), {findQuantizer(method), findBlockFormat(format), {}}});
    result.sequential = Settings {{"trust", trust}};
    return result;
}

struct Made {
    Model model;
    std::map<std::string, TensorResult> results;
};

Made made(const Model& model, const Recipe& recipe, const Chunks& text, Progress& progress,
          const Calibration* calibration = nullptr)
{
    Made result;
    QuantizeOptions options;
    options.text = &text;
    options.done = [&](const TensorResult& tensor) { result.results[model.tensors[tensor.index].name] = tensor; };
    result.model = quantize(model, resolve(recipe, model, calibration), calibration, options, progress);
    return result;
}

// The inputs of a weight.
Matrix inputsOf(const Model& model, const std::string& name, const Chunks& text)
{
    Matrix all;
    const Observer observer {[&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& x) {
                                 if (weight.name == name)
                                     all = x; // one part takes all of these tokens
                             },
                             {}};
    forwardrun::logits(openNetwork(model), text.tokens, text.context, observer);
    return all;
}

// |W (x + d) - What x|² / |W (x + d)|²
double lossOf(const Model& model, const Model& other, const std::string& name, const Chunks& text)
{
    const Matrix weights = decoded(*model.find(name)), stored = decoded(*other.find(name));
    const Matrix wanted = inputsOf(model, name, text) * weights.transpose();
    return double {(wanted - inputsOf(other, name, text) * stored.transpose()).squaredNorm()}
    / double {wanted.squaredNorm()};
}

void compareTensors(const Model& found, const Model& expected)
{
    for (const Tensor& tensor : expected.tensors) {
        const Tensor& other = *found.find(tensor.name);
        QVERIFY2(other.format == tensor.format && std::ranges::equal(other.bytes, tensor.bytes), tensor.name.c_str());
    }
}

} // namespace

void TestSequence::startsAsWithoutASequence_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<QString>("method");
    QTest::addColumn<double>("trust");
    for (const char* row : {"llama", "gpt2", "gemma2", "phi3", "qwen2moe"})
        QTest::addRow("%s", row) << row << "gptq" << 0.0;
    QTest::addRow("nearest") << "llama"
                             << "nearest" << 0.0;
    QTest::addRow("nothing to trust") << "llama"
                                      << "gptq" << 1.0;
}

// As long as nothing has been quantized the inputs are the original's: of the first block a sequence makes what there
// is without one.
void TestSequence::startsAsWithoutASequence()
{
    QFETCH(QString, row);
    QFETCH(QString, method);
    QFETCH(double, trust);
    const Model model = modelOf(row);
    const Chunks text = textFor(model);
    Recipe wanted = recipe(trust, {"blk.0.*"}, method.toUtf8());
    const Made sequence = made(model, wanted, text, m_progress);
    wanted.sequential.reset();
    const Calibration calibration = calibrate(model, text, {.hessians = true}, m_progress);
    std::map<std::string, TensorResult> results;
    QuantizeOptions options;
    options.done = [&](const TensorResult& tensor) { results[model.tensors[tensor.index].name] = tensor; };
    const Model expected = quantize(model, resolve(wanted, model, &calibration), &calibration, options, m_progress);
    compareTensors(sequence.model, expected);
    QVERIFY(!results.empty());
    QCOMPARE(sequence.results.size(), results.size());
    for (const auto& [name, result] : results) {
        const TensorResult& found = sequence.results.at(name);
        QCOMPARE(found.stored.errorSquares, result.stored.errorSquares);
        QVERIFY2(std::abs(*found.rho / *result.rho - 1) < 1e-4, name.c_str());
    }
}

// The reported loss is that of outputs against the original's, and the shift lowers it where inputs have drifted.
void TestSequence::tellsWhatOutputsLoseToTheOriginal()
{
    const Model model = calibraterun::sixBlocks();
    const Chunks text = textFor(model, 20);
    const std::string name = "blk.3.attn_q.weight";
    double before = 0;
    for (const double trust : {0.0, 1.0}) {
        const Made result
            = made(model, recipe(trust, {"blk.0.*", name}), text, m_progress); // blk.0 is the same in both
        const double loss = lossOf(model, result.model, name, text), told = *result.results.at(name).rho;
        QVERIFY2(std::abs(told / loss - 1) < 1e-3, qPrintable(QString("%1, not %2").arg(told).arg(loss)));
        QVERIFY2(trust == 0 || loss < 0.97 * before, qPrintable(QString("%1 of %2").arg(loss).arg(before)));
        before = loss;
        const Matrix error = decoded(*model.find(name)) - decoded(*result.model.find(name));
        QVERIFY(std::abs(result.results.at(name).stored.errorSquares / double {error.squaredNorm()} - 1) < 1e-5);
    }
}

// A preset's types are quantized by the best method without a calibration: there will be one.
void TestSequence::foreseesWhatItWillKnow()
{
    const Model model = modelOf("qwen2moe");
    Recipe wanted;
    wanted.preset = findPreset("Q4_0");
    wanted.sequential.emplace();
    const Plan plan = resolve(wanted, model, nullptr);
    QVERIFY(plan.sequential == wanted.sequential);
    QVERIFY(plan.metadata.text("quern.recipe")->find("\"sequential\":{}") != std::string::npos);
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        if (const Choice& choice = plan.tensors[i].choice; choice.quantizer && !choice.format->floating())
            QVERIFY2(choice.quantizer->name == "gptq+descent", model.tensors[i].name.c_str());
    wanted.sequential.reset();
    for (const PlannedTensor& planned : resolve(wanted, model, nullptr).tensors)
        QVERIFY(!planned.choice.quantizer || planned.choice.quantizer->name == "nearest");
}

void TestSequence::exportsWhatItQuantizes_data()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "gemma2", "qwen2moe"})
        QTest::addRow("%s", row) << row;
}

// The same bytes for any number of threads, in memory and in a file, of embedding, blocks and output matrix.
void TestSequence::exportsWhatItQuantizes()
{
    QFETCH(QString, row);
    const Model model = modelOf(row);
    const Chunks text = textFor(model);
    Recipe wanted = recipe(0.5, {"*"}, "gptq", "Q4_0");
    wanted.rules.push_back({"*.ffn_down_*exp*.weight", {findQuantizer("nearest"), findBlockFormat("F16"), {}}});
    setThreads(1);
    const Made one = made(model, wanted, text, m_progress);
    setThreads(3);
    const Made three = made(model, wanted, text, m_progress);
    setThreads(0);
    compareTensors(three.model, one.model);
    ExportOptions options;
    options.text = &text;
    options.overwrite = true;
    std::size_t done = 0;
    options.done = [&](const TensorResult&) { ++done; };
    Watcher watcher;
    exportModel(model, resolve(wanted, model, nullptr), nullptr, at("out.gguf"), options, watcher);
    QVERIFY(watcher.ascends && watcher.last == 1);
    QCOMPARE(done, model.tensors.size());
    const Model written = openModel(at("out.gguf"));
    compareTensors(written, one.model);
    QVERIFY(recipeFromJson(*written.metadata.text("quern.recipe"), "file") == wanted);
}

// It is quantized for what the blocks have become, and as well as they are.
void TestSequence::knowsTheOutputMatrix()
{
    const Model model = modelOf("llama");
    const Chunks text = textFor(model, 20);
    const std::string name = "output.weight";
    double losses[2];
    for (const double trust : {0.0, 1.0}) {
        const Made result = made(model, recipe(trust, {"blk.0.*", name}), text, m_progress);
        const double loss = lossOf(model, result.model, name, text);
        QVERIFY(std::abs(*result.results.at(name).rho / loss - 1) < 1e-3);
        losses[trust == 0 ? 0 : 1] = loss;
    }
    QVERIFY2(losses[1] < 0.97 * losses[0], qPrintable(QString("%1 of %2").arg(losses[1]).arg(losses[0])));
}

// Rewrites come first, and the sequence treats what they have made.
void TestSequence::followsRewrites()
{
    const Model model = modelOf("llama");
    const Chunks text = textFor(model);
    const Calibration calibration = calibrate(model, text, {.hessians = true}, m_progress);
    Recipe wanted = recipe(0.5, {"blk.*"});
    const Made plain = made(model, wanted, text, m_progress);
    wanted.rewrites = {{findRewrite("awq"), {{"ratios", 4}, {"rows", 16}, {"gain", 0}}}};
    const Made result = made(model, wanted, text, m_progress, &calibration);
    QVERIFY(!std::ranges::equal(result.model.find("blk.0.attn_norm.weight")->bytes,
                                plain.model.find("blk.0.attn_norm.weight")->bytes));
    QVERIFY(plain.results.size() <= result.results.size());
    for (const auto& [name, tensor] : plain.results)
        QVERIFY(*result.results.at(name).rho < 2 * *tensor.rho);
}

void TestSequence::stopsWhenCancelled_data()
{
    QTest::addColumn<QString>("step");
    for (const char* step : {"token_embd.weight", "blk.1", "blk.1.ffn_up.weight", "output.weight"})
        QTest::addRow("%s", step) << step;
}

void TestSequence::stopsWhenCancelled()
{
    QFETCH(QString, step);
    const Model model = modelOf("llama");
    const Chunks text = textFor(model);
    Watcher watcher(step.toStdString());
    ExportOptions options;
    options.text = &text;
    const Plan plan = resolve(recipe(0.5, {"*"}), model, nullptr);
    QVERIFY_THROWS_EXCEPTION(Cancelled, exportModel(model, plan, nullptr, at("none.gguf"), options, watcher));
    QVERIFY(!std::filesystem::exists(at("none.gguf")));
}

void TestSequence::refuses_data()
{
    QTest::addColumn<QString>("what");
    QTest::addColumn<QString>("says");
    QTest::newRow("no text") << "text"
                             << "--text";
    QTest::newRow("trust") << "trust"
                           << "trust";
    QTest::newRow("family") << "family"
                            << "mamba";
    QTest::newRow("token") << "token"
                           << "no token 120";
    QTest::newRow("rewrite without a calibration") << "rewrite"
                                                   << "calibration";
}

void TestSequence::refuses()
{
    QFETCH(QString, what);
    QFETCH(QString, says);
    Model model = modelOf("mixtral");
    Chunks text = textFor(model);
    Recipe wanted = recipe(what == "trust" ? 2 : 0.5, {"blk.*"});
    if (what == "family")
        model.metadata.set("general.architecture", std::string("mamba"));
    if (what == "token")
        text.tokens[30] = 120;
    if (what == "rewrite")
        wanted.rewrites = {{findRewrite("awq"), {}}};
    QuantizeOptions options;
    options.text = what == "text" ? nullptr : &text;
    const QString said
        = testfiles::complaint([&] { quantize(model, resolve(wanted, model, nullptr), nullptr, options, m_progress); });
    QVERIFY2(said.contains(says), qPrintable(said));
}

QTEST_GUILESS_MAIN(TestSequence)
#include "tst_sequence.moc"
