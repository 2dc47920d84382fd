#include "core/factor.h"

#include "core/modelmaker.h"
#include "core/parallel.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>

#include <QTest>

using namespace quern;

namespace {

Matrix normal(long rows, long cols, unsigned seed)
{
    const std::vector<float> values = modelmaker::normalWeights(rows * cols, seed);
    return Eigen::Map<const Matrix>(values.data(), rows, cols) * 30.0f;
}

// E[x x^T] of `tokens` inputs whose features depend on each other and differ in size.
Matrix secondMoments(long n, long tokens, unsigned seed)
{
    Matrix x = normal(tokens, n, seed)
        + normal(tokens, std::max(n / 4, 1L), seed + 1) * normal(std::max(n / 4, 1L), n, seed + 2);
    for (long j = 0; j < n; ++j)
        x.col(j) *= 1.0f + static_cast<float>(j % 7);
    return x.transpose() * x / static_cast<float>(tokens);
}

std::optional<Factor> factored(const Matrix& hessian, double damping = 0.01)
{
    NoProgress progress;
    return factor(hessian, damping, progress);
}

Eigen::MatrixXd restored(const Factor& f)
{
    const Eigen::MatrixXd u = f.unit.cast<double>();
    const Eigen::VectorXd d = Eigen::Map<const Eigen::VectorXf>(f.pivot.data(), u.rows()).cast<double>();
    return u * d.asDiagonal() * u.transpose();
}

} // namespace

class TestFactor : public QObject {
    Q_OBJECT

private slots:
    void isThatOfTheMatrix_data();
    void isThatOfTheMatrix();
    void isTheInverseOfGptqsOwn();
    void isTheSameForAnyNumberOfThreads();
    void readsTheLowerTriangleOnly();
    void knowsDeadInputs();
    void takesDoublePrecisionOrMoreDamping();
    void givesUpOnWhatIsNoSecondMoment();
    void canBeCancelled();
};

void TestFactor::isThatOfTheMatrix_data()
{
    QTest::addColumn<int>("n");
    for (const int n : {1, 2, 7, 191, 192, 193, 500})
        QTest::newRow(QByteArray::number(n)) << n;
}

void TestFactor::isThatOfTheMatrix()
{
    QFETCH(int, n);
    const Matrix hessian = secondMoments(n, 2 * n + 3, 1);
    const auto f = factored(hessian);
    QVERIFY(f);
    QCOMPARE(f->damping, 0.01);
    QVERIFY(f->dead.empty());
    Eigen::MatrixXd expected = hessian.cast<double>();
    expected.diagonal().array() += 0.01 * hessian.diagonal().cast<double>().mean();
    QVERIFY((restored(*f) - expected).norm() < 3e-6 * expected.norm());
    for (long i = 0; i < n; ++i) {
        QCOMPARE(f->unit(i, i), 1.0f);
        QVERIFY(f->pivot[static_cast<std::size_t>(i)] > 0);
        for (long j = 0; j < i; ++j)
            QCOMPARE(f->unit(i, j), 0.0f);
    }
}

// GPTQ's own way: U with H^-1 = U^T U; then unit = U^-1 with its columns over their diagonal, pivots 1 / U_jj^2.
void TestFactor::isTheInverseOfGptqsOwn()
{
    const long n = 60;
    const Matrix hessian = secondMoments(n, 200, 4);
    const auto f = factored(hessian);
    Eigen::MatrixXd damped = hessian.cast<double>();
    damped.diagonal().array() += 0.01 * damped.diagonal().mean();
    const Eigen::MatrixXd inverse = damped.inverse();
    const Eigen::MatrixXd upper = inverse.llt().matrixU();
    const Eigen::MatrixXd back = upper.inverse();
    for (long j = 0; j < n; ++j) {
        const double pivot = 1 / (upper(j, j) * upper(j, j));
        QVERIFY(std::abs(static_cast<double>(f->pivot[static_cast<std::size_t>(j)]) / pivot - 1) < 1e-4);
        for (long i = 0; i < j; ++i)
            QVERIFY(std::abs(static_cast<double>(f->unit(i, j)) - back(i, j) / back(j, j)) < 1e-4);
    }
}

void TestFactor::isTheSameForAnyNumberOfThreads()
{
    const Matrix hessian = secondMoments(700, 900, 2);
    setThreads(1);
    const auto one = factored(hessian);
    setThreads(3);
    const auto three = factored(hessian);
    setThreads(0);
    QCOMPARE(one->pivot, three->pivot);
    QVERIFY(one->unit == three->unit);
}

void TestFactor::readsTheLowerTriangleOnly()
{
    const Matrix hessian = secondMoments(50, 100, 2);
    Matrix lower = hessian;
    lower.triangularView<Eigen::StrictlyUpper>().setConstant(1e30f);
    QVERIFY(factored(hessian)->unit == factored(lower)->unit);
}

void TestFactor::knowsDeadInputs()
{
    Matrix hessian = secondMoments(40, 100, 3);
    for (const long dead : {0L, 7L, 39L}) {
        hessian.row(dead).setZero();
        hessian.col(dead).setZero();
    }
    const auto f = factored(hessian);
    QVERIFY(f);
    QCOMPARE(f->dead, (std::vector<long> {0, 7, 39}));
    // They pass no error on and take none.
    for (const long dead : f->dead)
        for (long i = 0; i < 40; ++i)
            if (i != dead) {
                QCOMPARE(f->unit(dead, i), 0.0f);
                QCOMPARE(f->unit(i, dead), 0.0f);
            }
}

void TestFactor::takesDoublePrecisionOrMoreDamping()
{
    // Fewer tokens than features: singular but for the damping.
    const Matrix hessian = secondMoments(300, 20, 5);
    const auto usual = factored(hessian);
    QVERIFY(usual);
    QCOMPARE(usual->damping, 0.01);
    const auto tiny = factored(hessian, 1e-9); // below what single precision can tell from 0
    QVERIFY(tiny);
    QVERIFY(tiny->doubled || tiny->damping > 1e-9);
    QVERIFY(restored(*tiny).allFinite());
}

void TestFactor::givesUpOnWhatIsNoSecondMoment()
{
    Matrix hessian(2, 2);
    hessian << 1, 5, 5, 1; // negative eigenvalue -4: beyond any damping up to the mean
    QVERIFY(!factored(hessian));
    QVERIFY(factored(Matrix::Zero(3, 3)));
}

void TestFactor::canBeCancelled()
{
    class Stopped final : public Progress {
        void report(double, std::string_view) override { }
        bool cancelled() const override { return true; }
    } stopped;
    const Matrix hessian = secondMoments(200, 300, 2);
    QVERIFY_THROWS_EXCEPTION(Cancelled, factor(hessian, 0.01, stopped));
}

QTEST_GUILESS_MAIN(TestFactor)
#include "tst_factor.moc"
