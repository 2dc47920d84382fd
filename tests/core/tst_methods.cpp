// What methods that use second moments make of a model's tensors.
#include "core/group.h"
#include "core/parallel.h"
#include "tests/core/moments.h"
#include "tests/core/quantizerun.h"

#include <QTest>

using namespace quern;
using namespace quantizerun;

namespace {

// Inputs with second moments: each matrix has its own.
Calibration withMoments(unsigned seed = 1)
{
    Calibration calibration = inputs();
    const auto set = [&](const char* name, std::vector<Matrix> all) {
        InputStats& stats = calibration.inputs[name];
        for (std::size_t i = 0; i < all.size(); ++i) {
            stats.sumSquares.row(static_cast<long>(i)) = all[i].diagonal().cast<double>() * stats.counts[i];
            stats.hessians.push_back(std::make_shared<const Hessian>(moments::hessian(all[i])));
        }
    };
    set("blk.0.attn_q.weight", {moments::of(512, 700, seed)});
    set("blk.0.ffn_down_exps.weight", {moments::of(256, 300, seed + 1), moments::of(256, 400, seed + 2)});
    return calibration;
}

// The same, those of the second expert having no factor.
Calibration withUnsoundMoments()
{
    Calibration calibration = withMoments();
    InputStats& experts = calibration.inputs["blk.0.ffn_down_exps.weight"];
    Matrix none = Matrix::Constant(256, 256, 5);
    none.diagonal().setOnes();
    experts.sumSquares.row(1).setConstant(experts.counts[1]);
    experts.hessians[1] = std::make_shared<const Hessian>(moments::hessian(none));
    return calibration;
}

} // namespace

class TestMethods : public QObject {
    Q_OBJECT

private slots:
    void usesSecondMoments_data();
    void usesSecondMoments();
    void roundsToNearestWhereSecondMomentsAreOfNoUse();
    void tellsWhatOutputsLose_data();
    void tellsWhatOutputsLose();
    void measuresOutputsOfSomeRows();
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
    const Calibration calibration = withUnsoundMoments();
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
    Calibration calibration = withUnsoundMoments();
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

void TestMethods::tellsWhatOutputsLose_data()
{
    QTest::addColumn<QString>("method");
    for (const char* method : {"nearest", "gptq", "descent"})
        QTest::newRow(method) << method;
}

// rho = tr(E H E^T) / tr(W H W^T) over all matrices of a tensor, for H of the calibration and for one of other tokens.
void TestMethods::tellsWhatOutputsLose()
{
    QFETCH(QString, method);
    const Model model = sample();
    const Calibration calibration = withMoments(), others = withMoments(5);
    Recipe recipe = all(*findBlockFormat("Q4_0"));
    recipe.rules[0].choice.quantizer = findQuantizer(method.toStdString());
    const Made result = made(model, recipe, &calibration, {.workspace = {}, .done = {}, .heldOut = &others});
    NoProgress progress;
    const auto expected = [&](const Tensor& tensor, const Tensor& stored, const Calibration& inputs) {
        const Matrix w = decoded(tensor), errors = w - decoded(stored);
        const auto& hessians = inputs.find(tensor.name)->hessians;
        const long rows = tensor.rows() / static_cast<long>(hessians.size());
        double error = 0, power = 0;
        for (long i = 0; i < static_cast<long>(hessians.size()); ++i) {
            const Matrix h = hessians[static_cast<std::size_t>(i)]->matrix(progress);
            error += moments::costs(errors.middleRows(i * rows, rows), h).sum();
            power += moments::costs(w.middleRows(i * rows, rows), h).sum();
        }
        return error / power;
    };
    for (std::size_t i : {0U, 1U}) {
        const Tensor &tensor = model.tensors[i], &stored = result.model.tensors[i];
        const TensorResult& told = result.results[i];
        const double seen = expected(tensor, stored, calibration), heldOut = expected(tensor, stored, others);
        QVERIFY2(told.rho && std::abs(*told.rho / seen - 1) < 1e-3, qPrintable(QString::number(seen)));
        QVERIFY2(told.heldOutRho && std::abs(*told.heldOutRho / heldOut - 1) < 1e-3,
                 qPrintable(QString::number(heldOut)));
        QVERIFY(std::abs(*told.rho / told.stored.rho() - 1) > 1e-2); // which takes the diagonal alone
    }
    // Where there is no H, by the diagonal; where nothing is known, not at all.
    const Calibration sums = inputs();
    const Made bySums
        = made(model, all(*findBlockFormat("Q4_0")), &sums, {.workspace = {}, .done = {}, .heldOut = &sums});
    QCOMPARE(*bySums.results[0].rho, bySums.results[0].stored.rho());
    QVERIFY(std::abs(*bySums.results[0].heldOutRho / *bySums.results[0].rho - 1) < 1e-9);
    const Made blind = made(model, all(*findBlockFormat("Q4_0")), nullptr);
    QVERIFY(!blind.results[0].rho && !blind.results[0].heldOutRho);
}

// Of tall matrices, an evenly spread part is measured.
void TestMethods::measuresOutputsOfSomeRows()
{
    const long rows = 2048, n = 512;
    Model model;
    modelmaker::add(model, "blk.0.attn_q.weight", {rows, n}, modelmaker::normalWeights(rows * n, 1), "F32");
    const Calibration calibration = withMoments();
    const Made result = made(model, all(*findBlockFormat("Q4_0")), &calibration);
    NoProgress progress;
    const Matrix w = decoded(model.tensors[0]),
                 h = calibration.find("blk.0.attn_q.weight")->hessians[0]->matrix(progress);
    const double all = moments::costs(w - decoded(result.model.tensors[0]), h).sum() / moments::costs(w, h).sum();
    QVERIFY2(std::abs(*result.results[0].rho / all - 1) < 0.1, qPrintable(QString::number(all)));
}

QTEST_GUILESS_MAIN(TestMethods)
#include "tst_methods.moc"
