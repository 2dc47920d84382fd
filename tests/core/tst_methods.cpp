// What methods that use second moments make of a model's tensors.
#include "core/group.h"
#include "core/parallel.h"
#include "tests/core/moments.h"
#include "tests/core/quantizerun.h"

#include <QTest>

using namespace quern;
using namespace quantizerun;

namespace {

// Inputs with second moments: each matrix has its own, and those of the second expert have no factor.
Calibration withMoments()
{
    Calibration calibration = inputs();
    const auto set = [&](const char* name, std::vector<Matrix> all) {
        InputStats& stats = calibration.inputs[name];
        for (std::size_t i = 0; i < all.size(); ++i) {
            stats.sumSquares.row(static_cast<long>(i)) = all[i].diagonal().cast<double>() * stats.counts[i];
            stats.hessians.push_back(std::make_shared<const Hessian>(moments::hessian(all[i])));
        }
    };
    Matrix none = Matrix::Constant(256, 256, 5);
    none.diagonal().setOnes();
    set("blk.0.attn_q.weight", {moments::of(512, 700, 1)});
    set("blk.0.ffn_down_exps.weight", {moments::of(256, 300, 2), none});
    return calibration;
}

} // namespace

class TestMethods : public QObject {
    Q_OBJECT

private slots:
    void usesSecondMoments_data();
    void usesSecondMoments();
    void roundsToNearestWhereSecondMomentsAreOfNoUse();
};

void TestMethods::usesSecondMoments_data()
{
    QTest::addColumn<QString>("method");
    for (const char* method : {"gptq", "descent", "gptq+descent"})
        QTest::newRow(method) << method;
}

void TestMethods::usesSecondMoments()
{
    QFETCH(QString, method);
    const Model model = sample();
    const Calibration calibration = withMoments();
    const BlockFormat& format = *findBlockFormat("Q4_0");
    Recipe recipe = all(format);
    recipe.rules[0].choice.quantizer = findQuantizer(method.toStdString());
    setThreads(1);
    const Made one = made(model, recipe, &calibration);
    setThreads(7);
    const Made seven = made(model, recipe, &calibration);
    setThreads(0);
    const Made nearest = made(model, all(format), &calibration);
    NoProgress progress;
    const auto cost = [&](const Made& result, std::size_t tensor, long matrix) {
        const Tensor& of = model.tensors[tensor];
        const long rows = of.rows() / of.matrices();
        Matrix w(rows, of.cols()), q(rows, of.cols());
        decodeRows(of, matrix * rows, rows, w.data());
        decodeRows(result.model.tensors[tensor], matrix * rows, rows, q.data());
        const auto& h = calibration.inputs.at(of.name).hessians.at(static_cast<std::size_t>(matrix));
        return moments::costs(w - q, h->matrix(progress)).sum();
    };
    for (std::size_t i : {0U, 1U}) {
        QVERIFY(sameBytes(one.model.tensors[i], seven.model.tensors[i]));
        QVERIFY(cost(one, i, 0) < 0.8 * cost(nearest, i, 0));
    }
    QVERIFY(one.results[0].warnings.empty());
    // What the window previews is the same.
    const Tensor& tensor = model.tensors[1];
    const InputStats* stats = inputsOf(tensor, &calibration);
    const QuantizedRows rows = quantizedRows(tensor, recipe.rules[0].choice, stats, 5, 9, progress);
    const std::size_t rowBytes = format.rowBytes(tensor.cols());
    QVERIFY(std::ranges::equal(rows.blocks, one.model.tensors[1].bytes.subspan(5 * rowBytes, 9 * rowBytes)));
    QCOMPARE(preview(tensor, recipe.rules[0].choice, stats, 1, progress).errorSquares,
             one.results[1].method.errorSquares);
    QVERIFY(std::ranges::equal(quantizedCopy(tensor, recipe.rules[0].choice, stats, progress)->bytes,
                               one.model.tensors[1].bytes));
}

void TestMethods::roundsToNearestWhereSecondMomentsAreOfNoUse()
{
    const Model model = sample();
    Calibration calibration = withMoments();
    Recipe recipe = all(*findBlockFormat("Q4_0"));
    const Made nearest = made(model, recipe, &calibration);
    recipe.rules[0].choice.quantizer = findQuantizer("gptq");
    const auto second = [](const Made& result) { // expert
        const Tensor& tensor = result.model.tensors[1];
        return tensor.bytes.subspan(tensor.bytes.size() / 2);
    };
    for (int i = 0; i < 2; ++i) {
        const Made result = made(model, recipe, &calibration);
        QVERIFY(std::ranges::equal(second(result), second(nearest)));
        QVERIFY(!std::ranges::equal(result.model.tensors[1].bytes, nearest.model.tensors[1].bytes));
        QCOMPARE(result.results[1].warnings.size(), std::size_t {1});
        const QString warning = QString::fromStdString(result.results[1].warnings[0]);
        QVERIFY2(warning.startsWith("1 of 2") && warning.contains("blk.0.ffn_down_exps.weight"), qPrintable(warning));
        calibration.inputs["blk.0.ffn_down_exps.weight"].hessians[1] = nullptr; // it saw no input
    }
}

QTEST_GUILESS_MAIN(TestMethods)
#include "tst_methods.moc"
