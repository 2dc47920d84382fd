// AWQ and SmoothQuant find the scales of their formulas, and leave the function as it was.
#include "core/rescale.h"
#include "core/rewrite.h"
#include "tests/core/rewriterun.h"

#include <QTest>

#include <cmath>

using namespace quern;
using rewriterun::calibrated, tiny::modelOf;

class TestRewrites final : public QObject {
    Q_OBJECT

    NoProgress m_progress;

private slots:
    void keepTheFunction_data();
    void keepTheFunction();
    void awqLowersTheLoss_data();
    void awqLowersTheLoss();
    void awqMeasuresWhatOutputsLose();
    void awqLeavesWhatIsNotQuantized();
    void smoothQuantFollowsItsFormula();
    void needMagnitudes();
};

namespace {

// All matrices of the blocks to one format.
Targets targetsOf(const Model& model, const char* format)
{
    Targets targets;
    for (const Tensor& tensor : model.tensors)
        if (layerOf(tensor.name) >= 0 && tensor.shape.size() > 1 && findBlockFormat(format)->fits(tensor.cols()))
            targets.emplace(tensor.name, Target {findQuantizer("nearest"), findBlockFormat(format), {}});
    return targets;
}

struct Rewritten {
    FactorsByName factors;
    std::vector<FoldReport> reports;
};

Rewritten rewritten(const char* rewrite, const Model& model, const Calibration& calibration, const Targets& targets,
                    const Settings& settings = {})
{
    NoProgress progress;
    Rewritten result;
    const Network network = openNetwork(model);
    std::vector<Fold> folds;
    for (long block = 0; block < network.sizes.blocks; ++block)
        std::ranges::copy(foldsOf(network, block), std::back_inserter(folds));
    result.factors = findRewrite(rewrite)->factors({folds, calibration, targets, settings}, result.reports, progress);
    return result;
}

} // namespace

void TestRewrites::keepTheFunction_data()
{
    QTest::addColumn<QString>("rewrite");
    QTest::addColumn<QString>("row");
    const auto row
        = [](const char* rewrite, const char* model) { QTest::addRow("%s %s", rewrite, model) << rewrite << model; };
    for (const char* model : {"llama", "phi3", "gpt2", "qwen2moe"})
        row("awq", model);
    for (const char* model : {"llama", "qwen2moe"})
        row("smoothquant", model);
}

void TestRewrites::keepTheFunction()
{
    QFETCH(QString, rewrite);
    QFETCH(QString, row);
    const Model model = modelOf(row);
    const auto made = rewritten(qPrintable(rewrite), model, calibrated(model), targetsOf(model, "INT3_G16_MIN"),
                                rewrite == "awq" ? Settings {{"ratios", 2}, {"rows", 16}, {"gain", 0}} : Settings {});
    QVERIFY(!made.factors.empty());
    const Model changed = rescaled(model, made.factors);
    QVERIFY(rewriterun::difference(rewriterun::logitsOf(changed), rewriterun::logitsOf(model)) < 1e-5);
}

void TestRewrites::awqLowersTheLoss_data()
{
    QTest::addColumn<double>("duo");
    QTest::addColumn<double>("gain");
    QTest::addRow("by inputs") << 0.0 << 0.0;
    QTest::addRow("by inputs and weights") << 1.0 << 0.0;
    QTest::addRow("by no less than a gain") << 1.0 << 0.03;
}

// Inputs of a norm with a few large weights differ much between channels, which is what it is for.
void TestRewrites::awqLowersTheLoss()
{
    QFETCH(double, duo);
    QFETCH(double, gain);
    const Model model = rewriterun::withOutliers(modelOf("llama"));
    const auto made = rewritten("awq", model, calibrated(model), targetsOf(model, "INT3_G16_MIN"),
                                {{"duo", duo}, {"rows", 16}, {"ratios", 10}, {"gain", gain}});
    double before = 0, after = 0;
    for (const FoldReport& report : made.reports) {
        QVERIFY2(report.before > 0, report.producer.c_str());
        QVERIFY2(report.scaled ? report.after <= (1 - gain) * report.before : report.after == report.before,
                 report.producer.c_str());
        QVERIFY(!report.scaled || report.after < report.before);
        before += report.before;
        after += report.after;
    }
    QVERIFY2(after < 0.99 * before, qPrintable(QString("%1 of %2").arg(after).arg(before)));
}

// What is reported is the loss of the whole matrices, here without sampling, before and after they are folded.
void TestRewrites::awqMeasuresWhatOutputsLose()
{
    const Model model = modelOf("llama");
    const Calibration calibration = calibrated(model);
    const Targets targets = targetsOf(model, "INT3_G16_MIN");
    const auto made = rewritten("awq", model, calibration, targets, {{"rows", 65536}, {"ratios", 3}, {"gain", 0}});
    const Model changed = rescaled(model, made.factors);
    const Calibration seen = rescaled(calibration, made.factors);
    const auto loss = [&](const Model& of, const Calibration& by, const char* name) {
        const Tensor& tensor = *of.find(name);
        const Matrix weights = decoded(tensor);
        const std::vector<float> importance = by.find(name)->importance(0);
        const BlockFormat& format = *targets.at(name).format;
        std::vector<std::byte> blocks(static_cast<std::size_t>(tensor.rows()) * format.rowBytes(tensor.cols()));
        const Settings none;
        findQuantizer("nearest")->run({weights, importance, 0, 0, format, none}, blocks, m_progress);
        Matrix error = weights;
        for (long row = 0; row < error.rows(); ++row)
            format.decode(format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(error.cols()),
                          {error.row(row).data(), static_cast<std::size_t>(error.cols())});
        const Eigen::MatrixXd e = (weights - error).cast<double>();
        return (e * by.find(name)->hessians[0]->matrix(m_progress).cast<double>()).cwiseProduct(e).sum();
    };
    for (const FoldReport& report : made.reports) {
        if (report.producer != "blk.1.ffn_up.weight")
            continue;
        const double before = loss(model, calibration, "blk.1.ffn_down.weight"),
                     after = loss(changed, seen, "blk.1.ffn_down.weight");
        QVERIFY2(std::abs(report.before / before - 1) < 1e-3,
                 qPrintable(QString("%1 %2").arg(report.before).arg(before)));
        QVERIFY2(std::abs(report.after / after - 1) < 1e-2, qPrintable(QString("%1 %2").arg(report.after).arg(after)));
        return;
    }
    QFAIL("no such fold");
}

void TestRewrites::awqLeavesWhatIsNotQuantized()
{
    const Model model = modelOf("llama");
    QVERIFY(rewritten("awq", model, calibrated(model), {}).factors.empty());
    QVERIFY(rewritten("awq", model, calibrated(model), targetsOf(model, "F16")).factors.empty());
}

void TestRewrites::smoothQuantFollowsItsFormula()
{
    const Model model = modelOf("llama");
    const Calibration calibration = calibrated(model);
    const auto made = rewritten("smoothquant", model, calibration, {}, {{"alpha", 0.75}});
    Matrix largest = Matrix::Zero(1, openNetwork(model).sizes.width);
    for (const char* name : {"blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"})
        largest = largest.cwiseMax(decoded(*model.find(name)).cwiseAbs().colwise().maxCoeff());
    const Matrix inputs = calibration.find("blk.1.ffn_up.weight")->maxMagnitudes;
    const Matrix& found = made.factors.at("blk.1.ffn_up.weight").cols;
    for (long c = 0; c < largest.cols(); ++c) {
        const double expected = std::pow(inputs(0, c), 0.75) / std::pow(largest(0, c), 0.25);
        QVERIFY2(std::abs(found(0, c) / expected - 1) < 1e-5, qPrintable(QString::number(c)));
    }
    QVERIFY(!made.factors.contains("blk.1.ffn_down.weight")); // between norms and what reads them only
}

void TestRewrites::needMagnitudes()
{
    const Model model = modelOf("llama");
    Calibration calibration = calibrated(model);
    for (auto& [name, stats] : calibration.inputs)
        stats.sumMagnitudes.resize(0, 0), stats.maxMagnitudes.resize(0, 0);
    for (const Rewrite* rewrite : rewrites())
        QVERIFY_EXCEPTION_THROWN(
            rewritten(std::string(rewrite->name).c_str(), model, calibration, targetsOf(model, "INT3_G16_MIN")), Error);
}

QTEST_GUILESS_MAIN(TestRewrites)
#include "tst_rewrites.moc"
