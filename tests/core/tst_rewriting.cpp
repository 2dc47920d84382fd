// Recipes with rewrites, from the recipe to the file.
#include "core/preset.h"
#include "core/rewrite.h"
#include "core/rewriting.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/rewriterun.h"
#include "tests/core/testfiles.h"
#include "tests/judge/llama.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace quern;
using rewriterun::calibrated, tiny::modelOf, rewriterun::withOutliers;

class TestRewriting final : public QObject {
    Q_OBJECT

    NoProgress m_progress;
    QTemporaryDir m_folder;

    std::string at(const char* name) const { return m_folder.filePath(name).toStdString(); }

private slots:
    void lowersWhatOutputsLose();
    void exportsWhatItQuantizes();
    void changesNothingForLlama_data();
    void changesNothingForLlama();
    void leavesCopiedBlocksAlone();
    void roundsWhatIsCopied();
    void followsOneUponAnother();
    void previewsWhatItMakesOfATensor_data();
    void previewsWhatItMakesOfATensor();
    void previewsThatNothingIsScaled();
    void previewsOnlyWhatCanBeScaled();
    void refuses_data();
    void refuses();
    void saysThatInputsCountAlone();
};

namespace {

RewriteChoice fewRatios(int ratios = 4)
{
    return {findRewrite("awq"), {{"ratios", ratios}, {"rows", 16}, {"gain", 0}}};
}

Recipe recipe(std::vector<RewriteChoice> rewrites, const char* format, const char* pattern = "blk.*")
{
    Recipe result;
    result.rewrites = std::move(rewrites);
    result.rules.push_back(
        {pattern, {.quantizer = findQuantizer("nearest"), .format = findBlockFormat(format), .settings = {}}});
    return result;
}

QString complaint(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return QString::fromUtf8(error.what());
    }
    return {};
}

} // namespace

// The reported loss falls, and so does the error of the logits.
void TestRewriting::lowersWhatOutputsLose()
{
    const Model model = withOutliers(modelOf("llama"));
    const Calibration calibration = calibrated(model);
    const Matrix expected = rewriterun::logitsOf(model);
    double before = 0, after = 0;
    QuantizeOptions options;
    options.rewritten = [&](const Rewrite& rewrite, std::span<const FoldReport> reports) {
        QVERIFY(rewrite.name == "awq");
        for (const FoldReport& report : reports) {
            before += report.before;
            after += report.after;
        }
    };
    const auto error = [&](std::vector<RewriteChoice> rewrites) {
        const Plan plan = resolve(recipe(std::move(rewrites), "INT3_G16_MIN"), model, &calibration);
        const Model made = quantize(model, plan, &calibration, options, m_progress);
        return double {(rewriterun::logitsOf(made) - expected).squaredNorm()};
    };
    const double plain = error({});
    QCOMPARE(before, 0.0);
    const double scaled = error({fewRatios()});
    QVERIFY2(after < 0.99 * before, qPrintable(QString("%1 of %2").arg(after).arg(before)));
    QVERIFY2(scaled < plain, qPrintable(QString("%1 of %2").arg(scaled).arg(plain)));
}

// quantize and exportModel give the same bytes; the file keeps its name where it replaces another.
void TestRewriting::exportsWhatItQuantizes()
{
    const Model model = modelOf("llama");
    const Calibration calibration = calibrated(model);
    const Plan plan = resolve(recipe({fewRatios(2)}, "Q4_0", "blk.*.attn_*"), model, &calibration);
    const Model made = quantize(model, plan, &calibration, {}, m_progress);
    testfiles::put(at("out.gguf"), "old");
    ExportOptions options;
    options.overwrite = true;
    std::size_t done = 0;
    options.heldOut = &calibration; // is rescaled as the calibration is
    options.done = [&](const TensorResult& result) {
        ++done;
        if (result.rho && *result.rho > 0)
            QVERIFY(std::abs(*result.heldOutRho / *result.rho - 1) < 1e-6);
    };
    exportModel(model, plan, &calibration, at("out.gguf"), options, m_progress);
    QCOMPARE(done, model.tensors.size());
    const Model written = openModel(at("out.gguf"));
    for (const Tensor& tensor : made.tensors) {
        const Tensor& file = *written.find(tensor.name);
        QVERIFY2(file.format == tensor.format && std::ranges::equal(file.bytes, tensor.bytes), tensor.name.c_str());
    }
    QVERIFY(written.metadata.text("quern.recipe")->find("\"awq\"") != std::string::npos);
}

void TestRewriting::changesNothingForLlama_data()
{
    QTest::addColumn<QString>("rewrite");
    QTest::addColumn<QString>("row");
    QTest::newRow("awq") << "awq"
                         << "llama";
    QTest::newRow("awq of experts") << "awq"
                                    << "qwen2moe";
    QTest::newRow("smoothquant") << "smoothquant"
                                 << "llama";
}

// llama.cpp finds the same logits in the files of a model with and without a rewrite, both with F32 weights.
void TestRewriting::changesNothingForLlama()
{
    QFETCH(QString, rewrite);
    QFETCH(QString, row);
    if (const QString absent = judge::absent(); !absent.isEmpty())
        QSKIP(qPrintable(absent));
    const Model model = withOutliers(modelOf(row));
    const Calibration calibration = calibrated(model);
    const Settings few = rewrite == "awq" ? fewRatios(2).settings : Settings {};
    const Plan plan = resolve(recipe({{findRewrite(rewrite.toStdString()), few}}, "INT3_G16_MIN"), model, &calibration);
    const Rewritten made = rewritten(model, plan, &calibration, {}, m_progress);
    judge::exportAsF32(model, at("plain.gguf"));
    judge::exportAsF32(made.model, at("rewritten.gguf"));
    const auto tokens = forwardrun::someTokens(40, openNetwork(model).sizes.vocabulary);
    const judge::Logits expected = judge::Llama::open(at("plain.gguf"), {.exact = true}).logits(tokens),
                        found = judge::Llama::open(at("rewritten.gguf"), {.exact = true}).logits(tokens);
    double largest = 0, difference = 0;
    for (std::size_t t = 0; t < expected.rows; ++t)
        for (std::size_t i = 0; i < expected.cols; ++i) {
            largest = std::max(largest, double {std::abs(expected.row(t)[i])});
            difference = std::max(difference, double {std::abs(found.row(t)[i] - expected.row(t)[i])});
        }
    QVERIFY2(difference > 0 && difference < 1e-5 * largest, qPrintable(QString::number(difference / largest)));
    QFile::remove(m_folder.filePath("plain.gguf"));
    QFile::remove(m_folder.filePath("rewritten.gguf"));
}

// Blocks cannot be scaled; what would need it stays out of the search.
void TestRewriting::leavesCopiedBlocksAlone()
{
    const Model original = modelOf("llama");
    const Model model = quantize(original, resolve(recipe({}, "Q8_0", "blk.*.attn_k.weight"), original, nullptr),
                                 nullptr, {}, m_progress);
    const Calibration calibration = calibrated(original);
    Recipe wanted = recipe({fewRatios(2)}, "INT3_G16_MIN");
    wanted.rules.push_back({"blk.*.attn_k.weight", {}});
    QuantizeOptions options;
    options.rewritten = [&](const Rewrite&, std::span<const FoldReport> reports) {
        QVERIFY(!reports.empty());
        for (const FoldReport& report : reports)
            QVERIFY2(kindOf(report.producer) != "attn_norm", report.producer.c_str());
    };
    const Rewritten made = rewritten(model, resolve(wanted, model, &calibration), &calibration, options, m_progress);
    const Tensor& kept = *made.model.find("blk.0.attn_k.weight");
    QVERIFY(kept.format->name == "Q8_0" && kept.bytes.data() == model.find("blk.0.attn_k.weight")->bytes.data());
}

// A producer that is copied is scaled all the same, and has the format in the file that it had.
void TestRewriting::roundsWhatIsCopied()
{
    const Model original = modelOf("llama");
    const Model model = quantize(original, resolve(recipe({}, "F16"), original, nullptr), nullptr, {}, m_progress);
    const Calibration calibration = calibrated(original);
    const Plan plan = resolve(recipe({fewRatios(2)}, "INT3_G16_MIN", "blk.*.ffn_down.weight"), model, &calibration);
    const Model made = quantize(model, plan, &calibration, {}, m_progress);
    const Tensor& up = *made.find("blk.0.ffn_up.weight");
    QVERIFY(up.format->name == "F16");
    QVERIFY(decoded(up) != decoded(*model.find("blk.0.ffn_up.weight")));
    QVERIFY(decoded(*made.find("blk.0.attn_q.weight")) == decoded(*model.find("blk.0.attn_q.weight")));
}

// The second finds its scales for what the first one made.
void TestRewriting::followsOneUponAnother()
{
    const Model model = withOutliers(modelOf("llama"));
    const Calibration calibration = calibrated(model, false);
    const RewriteChoice smooth {findRewrite("smoothquant"), {{"alpha", 1}}};
    std::vector<std::string> names;
    QuantizeOptions options;
    options.rewritten = [&](const Rewrite& rewrite, auto) { names.emplace_back(rewrite.name); };
    const auto largest = [&](std::vector<RewriteChoice> rewrites) {
        const Plan plan = resolve(recipe(std::move(rewrites), "INT3_G16_MIN"), model, &calibration);
        const Rewritten made = rewritten(model, plan, &calibration, options, m_progress);
        return made.calibration.find("blk.0.attn_q.weight")->maxMagnitudes;
    };
    const Matrix once = largest({smooth});
    QVERIFY((once.array() - 1).abs().maxCoeff() < 1e-5); // alpha 1 makes all inputs as large as each other
    QVERIFY(largest({smooth, smooth}).isApprox(once, 1e-5F));
    QCOMPARE(names, (std::vector<std::string> {"smoothquant", "smoothquant", "smoothquant"}));
}

void TestRewriting::previewsWhatItMakesOfATensor_data()
{
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("tensor");
    QTest::addColumn<QString>("method");
    const auto row = [](const char* family, const char* tensor, const char* method) {
        QTest::addRow("%s of %s by %s", tensor, family, method) << family << tensor << method;
    };
    row("llama", "blk.0.attn_q.weight", "nearest");
    row("llama", "blk.1.attn_output.weight", "gptq+descent");
    row("qwen2moe", "blk.0.ffn_down_exps.weight", "nearest");
}

// The same figures as when the whole model is rewritten, where nothing but these columns concerns the tensor.
void TestRewriting::previewsWhatItMakesOfATensor()
{
    QFETCH(QString, family);
    QFETCH(QString, tensor);
    QFETCH(QString, method);
    const Model model = withOutliers(modelOf(family));
    const Calibration calibration = calibrated(model);
    Recipe wanted = recipe({fewRatios()}, "INT3_G16_MIN");
    wanted.rules[0].choice.quantizer = findQuantizer(method.toStdString());
    const Plan plan = resolve(wanted, model, &calibration);
    const auto index = static_cast<std::size_t>(model.find(tensor.toStdString()) - model.tensors.data());
    std::optional<TensorResult> whole;
    QuantizeOptions options;
    options.done = [&](const TensorResult& result) {
        if (result.index == index)
            whole = result;
    };
    quantize(model, plan, &calibration, options, m_progress);
    const RewrittenPreview alone = previewRewritten(model, index, plan, fewRatios(), calibration, m_progress);
    QVERIFY(alone.fold.scaled > 0 && alone.fold.after < alone.fold.before);
    QCOMPARE(alone.fold.places, model.tensors[index].matrices());
    QVERIFY(whole && whole->rho);
    QCOMPARE(alone.distortion.errorSquares, whole->method.errorSquares);
    QVERIFY2(std::abs(alone.distortion.rho() / *whole->rho - 1) < 1e-6, qPrintable(QString::number(*whole->rho)));
    const Distortion plain = preview(model.tensors[index], plan.tensors[index].choice,
                                     calibration.find(tensor.toStdString()), 1, m_progress);
    QVERIFY(alone.distortion.rho() != plain.rho());
}

void TestRewriting::previewsThatNothingIsScaled()
{
    const Model model = modelOf("llama");
    const Calibration calibration = calibrated(model);
    const Plan plan = resolve(recipe({}, "INT3_G16_MIN"), model, &calibration);
    const auto index = static_cast<std::size_t>(model.find("blk.0.attn_q.weight") - model.tensors.data());
    const RewriteChoice greedy {findRewrite("awq"), {{"ratios", 2}, {"rows", 16}, {"gain", 1}}};
    const RewrittenPreview alone = previewRewritten(model, index, plan, greedy, calibration, m_progress);
    QCOMPARE(alone.fold.scaled, 0L);
    QCOMPARE(alone.fold.places, 1L);
    const Distortion plain = preview(model.tensors[index], plan.tensors[index].choice,
                                     calibration.find("blk.0.attn_q.weight"), 1, m_progress);
    QCOMPARE(alone.distortion.errorSquares, plain.errorSquares);
}

void TestRewriting::previewsOnlyWhatCanBeScaled()
{
    const Model original = modelOf("llama");
    const Model model = quantize(original, resolve(recipe({}, "Q8_0", "blk.*.attn_k.weight"), original, nullptr),
                                 nullptr, {}, m_progress);
    Calibration calibration = calibrated(original);
    Recipe wanted = recipe({}, "INT3_G16_MIN", "*");
    wanted.rules.push_back({"blk.*.attn_k.weight", {}}); // keeps its blocks
    const Plan plan = resolve(wanted, model, &calibration);
    const auto says = [&](const char* tensor) {
        const auto index = static_cast<std::size_t>(model.find(tensor) - model.tensors.data());
        return complaint([&] { previewRewritten(model, index, plan, fewRatios(2), calibration, m_progress); });
    };
    QVERIFY2(says("blk.0.attn_q.weight").contains("keeps blocks as they are"), qPrintable(says("blk.0.attn_q.weight")));
    QVERIFY2(says("token_embd.weight").contains("Nothing feeds token_embd.weight"),
             qPrintable(says("token_embd.weight")));
    QVERIFY(says("blk.0.ffn_down.weight").isEmpty());
    calibration.inputs.erase("blk.0.ffn_down.weight");
    QVERIFY2(says("blk.0.ffn_down.weight").contains("does not know the inputs"),
             qPrintable(says("blk.0.ffn_down.weight")));
}

void TestRewriting::refuses_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<QString>("says");
    QTest::newRow("without a calibration") << "none"
                                           << "needs a calibration";
    QTest::newRow("with squares alone") << "squares"
                                        << "only their squares";
    QTest::newRow("a family that cannot be run") << "family"
                                                 << "mamba7";
    QTest::newRow("a setting out of range") << "range"
                                            << "ratios of awq is 1;";
    QTest::newRow("no choice of a setting") << "choice"
                                            << "must be a whole number";
    QTest::newRow("a setting of no rewrite") << "setting"
                                             << "awq has no setting damping";
}

void TestRewriting::refuses()
{
    QFETCH(QString, row);
    QFETCH(QString, says);
    Model model = modelOf("gpt2");
    Calibration calibration = calibrated(model, false);
    Recipe wanted = recipe({fewRatios()}, "INT3_G16_MIN");
    if (row == "squares")
        for (auto& [name, stats] : calibration.inputs)
            stats.sumMagnitudes.resize(0, 0), stats.maxMagnitudes.resize(0, 0);
    else if (row == "family")
        model.metadata.set("general.architecture", std::string("mamba7"));
    else if (row == "range")
        wanted.rewrites[0].settings["ratios"] = 1;
    else if (row == "choice")
        wanted.rewrites[0].settings["duo"] = 0.5;
    else if (row == "setting")
        wanted.rewrites[0].settings = {{"damping", 0.1}};
    const Calibration* given = row == "none" ? nullptr : &calibration;
    const QString said = complaint([&] { resolve(wanted, model, given); });
    QVERIFY2(said.contains(says), qPrintable(said));
    if (row == "none")
        QVERIFY(resolve(wanted, model, nullptr, Purpose::Sizes).fileBytes > 0); // sizes need no inputs
}

void TestRewriting::saysThatInputsCountAlone()
{
    const Model model = modelOf("gpt2");
    const Recipe wanted = recipe({fewRatios()}, "INT3_G16_MIN");
    const auto told = [&](const Calibration& calibration) {
        const std::vector<std::string> sentences = checkRewrites(wanted, model, &calibration);
        return !sentences.empty() && sentences.front().find("--hessian") != std::string::npos;
    };
    QVERIFY(told(calibrated(model, false)));
    QVERIFY(!told(calibrated(model, true)));
}

QTEST_GUILESS_MAIN(TestRewriting)
#include "tst_rewriting.moc"
