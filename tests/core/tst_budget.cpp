#include "core/budget.h"

#include "modelmaker.h"

#include <QtTest>

using namespace quern;

class TestBudget : public QObject {
    Q_OBJECT

private slots:
    void bytesAndErrorsAddUpByKind();
    void relativeErrorIsOfAllTensorsTogether();
};

namespace {

Plan planOf(const std::vector<std::uint64_t>& stored)
{
    Plan plan;
    for (const std::uint64_t bytes : stored)
        plan.tensors.push_back(
            {.choice = {}, .stored = findBlockFormat("F16"), .methodBytes = bytes / 2, .storedBytes = bytes});
    return plan;
}

Distortion distortionOf(double error, double weight)
{
    Distortion d;
    d.errorSquares = error;
    d.weightSquares = weight;
    return d;
}

} // namespace

void TestBudget::bytesAndErrorsAddUpByKind()
{
    Model model;
    model.tensors
        = {modelmaker::outline("token_embd.weight", {10, 4}), modelmaker::outline("blk.0.ffn_up.weight", {8, 4}),
           modelmaker::outline("blk.0.ffn_down.weight", {4, 8}), modelmaker::outline("blk.1.ffn_up.weight", {8, 4})};
    const std::vector<std::optional<Distortion>> errors {distortionOf(1, 10), distortionOf(2, 10), std::nullopt,
                                                         distortionOf(3, 10)};
    const auto shares = byKind(model, planOf({40, 16, 8, 32}), errors);
    QCOMPARE(shares.size(), 3U);
    QCOMPARE(shares[0].kind, std::string("token_embd"));
    QCOMPARE(shares[1].kind, std::string("ffn_up"));
    QCOMPARE(shares[1].storedBytes, 48U);
    QCOMPARE(shares[1].methodBytes, 24U);
    QCOMPARE(shares[1].weights, 64U);
    QCOMPARE(shares[1].errorSquares, 5.0);
    QCOMPARE(shares[1].tensors, 2L);
    QCOMPARE(shares[1].measured, 2L);
    QCOMPARE(shares[2].kind, std::string("ffn_down"));
    QCOMPARE(shares[2].measured, 0L);
    QCOMPARE(shares[2].errorSquares, 0.0);
}

void TestBudget::relativeErrorIsOfAllTensorsTogether()
{
    QVERIFY(!relativeError({}));
    const std::vector<std::optional<Distortion>> none {std::nullopt};
    QVERIFY(!relativeError(none));
    const std::vector<std::optional<Distortion>> errors {distortionOf(1, 60), std::nullopt, distortionOf(3, 40)};
    QCOMPARE(relativeError(errors).value(), 0.2);
}

QTEST_GUILESS_MAIN(TestBudget)
#include "tst_budget.moc"
