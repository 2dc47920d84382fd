// Scales that move from one tensor to the next leave every family's function as it was.
#include "core/calibrate.h"
#include "core/rescale.h"
#include "tests/core/forwardrun.h"
#include "tests/core/tinymodels.h"

#include <QTest>

#include <cmath>
#include <random>
#include <set>

using namespace quern;

class TestFolds final : public QObject {
    Q_OBJECT

private slots:
    void keepTheFunction_data() { addFamilies(); }
    void keepTheFunction();
    void reachWhatReadsTheirChannels();
    void rescaleCalibrations_data();
    void rescaleCalibrations();
    void leaveOtherTensorsAlone();

private:
    static void addFamilies();
};

namespace {

constexpr long kSequence = 12;

// Scales of 1/4 to 4 on every fold.
FactorsByName randomFactors(const Network& network)
{
    std::mt19937 random(5);
    std::uniform_real_distribution<float> octaves(-2, 2);
    FactorsByName factors;
    for (long block = 0; block < network.sizes.blocks; ++block)
        for (const Fold& fold : foldsOf(network, block))
            apply(fold, Matrix::NullaryExpr(fold.matrices, fold.channels, [&] { return std::exp2(octaves(random)); }),
                  factors);
    return factors;
}

double relative(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b)
{
    return (a - b).cwiseAbs().maxCoeff() / b.cwiseAbs().maxCoeff();
}

} // namespace

void TestFolds::addFamilies()
{
    QTest::addColumn<QString>("row");
    for (const tiny::Case& c : tiny::cases())
        QTest::newRow(c.row) << c.row;
    for (const tinygguf::Case& c : tinygguf::cases())
        QTest::newRow(c.row) << c.row;
}

void TestFolds::keepTheFunction()
{
    QFETCH(QString, row);
    const Model model = tiny::modelOf(row);
    const Network network = openNetwork(model);
    const FactorsByName factors = randomFactors(network);
    NoProgress progress;
    const Model changed = rescaled(model, factors);
    const auto tokens = forwardrun::someTokens(2 * kSequence, network.sizes.vocabulary);
    const Matrix before = forwardrun::logits(network, tokens, kSequence);
    const Matrix after = forwardrun::logits(openNetwork(changed), tokens, kSequence);
    const double difference = relative(after.cast<double>(), before.cast<double>());
    QVERIFY2(difference < 1e-5, qPrintable(QString::number(difference)));
    for (const auto& [name, factor] : factors) // so that this shows something
        QVERIFY2(decoded(*changed.find(name)) != decoded(*model.find(name)), name.c_str());
}

// Everything of a block that reads hidden states is a consumer of one of its norms.
void TestFolds::reachWhatReadsTheirChannels()
{
    const Network network = openNetwork(tiny::modelOf("qwen2moe"));
    std::set<std::string> consumers;
    for (const Fold& fold : foldsOf(network, 1))
        for (const Tensor& tensor : fold.consumers)
            QVERIFY2(consumers.insert(tensor.name).second, tensor.name.c_str()); // of one fold each
    const BlockTensors& block = network.blocks[1];
    for (const auto* part :
         {&block.query, &block.key, &block.value, &block.router, &block.expertGate, &block.expertUp, &block.expertDown,
          &block.sharedRouter, &block.sharedGate, &block.sharedUp, &block.sharedDown})
        QVERIFY2(consumers.contains((*part)->weight.name), (*part)->weight.name.c_str());
    QVERIFY(consumers.contains(block.output.weight.name));
}

void TestFolds::rescaleCalibrations_data()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "phi3", "gpt2", "qwen2moe"})
        QTest::newRow(row) << row;
}

// What a calibration becomes is what a calibration of the changed model finds.
void TestFolds::rescaleCalibrations()
{
    QFETCH(QString, row);
    const Model model = tiny::modelOf(row);
    const Network network = openNetwork(model);
    const FactorsByName factors = randomFactors(network);
    NoProgress progress;
    const Chunks chunks {kSequence, forwardrun::someTokens(4 * kSequence, network.sizes.vocabulary)};
    const CalibrateOptions options {.hessians = true};
    const Calibration expected = calibrate(rescaled(model, factors), chunks, options, progress);
    const Calibration found = rescaled(calibrate(model, chunks, options, progress), factors);
    QCOMPARE(found.inputs.size(), expected.inputs.size());
    for (const auto& [name, stats] : expected.inputs) {
        if (name == "token_embd.weight")
            continue; // not of inputs, but of what reads it, whose rows are scaled where values are
        const InputStats& ours = *found.find(name);
        QCOMPARE(ours.counts, stats.counts);
        QVERIFY2(relative(ours.sumSquares, stats.sumSquares) < 1e-4, name.c_str());
        QVERIFY2(relative(ours.sumMagnitudes, stats.sumMagnitudes) < 1e-4, name.c_str());
        QVERIFY2(relative(ours.maxMagnitudes.cast<double>(), stats.maxMagnitudes.cast<double>()) < 1e-4, name.c_str());
        for (std::size_t i = 0; i < stats.hessians.size(); ++i)
            if (stats.hessians[i])
                QVERIFY2(relative(ours.hessians[i]->matrix(progress).cast<double>(),
                                  stats.hessians[i]->matrix(progress).cast<double>())
                             < 1e-4,
                         name.c_str());
    }
    if (const InputStats* query = found.find("blk.0.attn_q.weight"); query && !query->hessians.empty())
        QCOMPARE(query->hessians, found.find("blk.0.attn_k.weight")->hessians); // still one
}

void TestFolds::leaveOtherTensorsAlone()
{
    const Model model = tiny::modelOf("llama");
    NoProgress progress;
    FactorsByName factors;
    apply(foldsOf(openNetwork(model), 0).back(), Matrix::Constant(1, openNetwork(model).sizes.feedForward, 2), factors);
    const Model changed = rescaled(model, factors);
    for (const Tensor& tensor : model.tensors) {
        const Tensor& now = *changed.find(tensor.name);
        if (tensor.name == "blk.0.ffn_up.weight")
            QCOMPARE(decoded(now), Matrix(decoded(tensor) / 2));
        else if (tensor.name == "blk.0.ffn_down.weight")
            QCOMPARE(decoded(now), Matrix(decoded(tensor) * 2));
        else
            QVERIFY2(now.bytes.data() == tensor.bytes.data() && now.format == tensor.format, tensor.name.c_str());
    }
}

QTEST_GUILESS_MAIN(TestFolds)
#include "tst_folds.moc"
