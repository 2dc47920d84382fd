#include "core/hessian.h"

#include "core/error.h"
#include "core/modelmaker.h"
#include "core/parallel.h"

#include <QTest>

using namespace quern;

namespace {

// Inputs that hang together, with a mean and one large channel, as activations have.
Matrix inputs(long tokens, long size, std::uint64_t seed = 1)
{
    modelmaker::Random random(seed);
    Matrix x(tokens, size);
    for (long t = 0; t < tokens; ++t) {
        const float shared = random.normal();
        for (long i = 0; i < size; ++i)
            x(t, i) = random.normal() + shared + (i == size / 2 ? 40.0F : 0.25F);
    }
    return x;
}

Hessian summed(const Matrix& x, const std::vector<long>& parts)
{
    NoProgress progress;
    ProductSum sum(x.cols());
    long first = 0;
    for (std::size_t i = 0; first < x.rows(); ++i) {
        const long n = std::min(parts[i % parts.size()], x.rows() - first);
        sum.add(x.middleRows(first, n), progress);
        first += n;
    }
    return sum.mean(progress);
}

} // namespace

class HessianTest final : public QObject {
    Q_OBJECT

private slots:
    void isTheMeanOfProducts_data();
    void isTheMeanOfProducts();
    void doesNotDependOnPartsAndThreads();
    void keepsDigitsOverManyTokens();
    void stopsWhenCancelled();
    void refusesDamage_data();
    void refusesDamage();
};

void HessianTest::isTheMeanOfProducts_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<int>("tokens");
    // Less than a tile and a panel, whole tiles, and what is left over of both; less than 512 tokens, and more.
    for (const int size : {1, 7, 64, 127, 128, 129, 300})
        for (const int tokens : {1, 511, 1300})
            QTest::addRow("%d columns, %d tokens", size, tokens) << size << tokens;
}

void HessianTest::isTheMeanOfProducts()
{
    QFETCH(int, size);
    QFETCH(int, tokens);
    const Matrix x = inputs(tokens, size);
    NoProgress progress;
    const Matrix found = summed(x, {tokens}).matrix(progress);
    const Eigen::MatrixXd wide = x.cast<double>(), expected = wide.transpose() * wide / tokens;
    QVERIFY(found == found.transpose());
    // Against the sum of magnitudes, which is what rounding is relative to.
    const Eigen::MatrixXd power = wide.cwiseAbs().transpose() * wide.cwiseAbs() / tokens;
    const double error = ((found.cast<double>() - expected).cwiseAbs().array() / power.array()).maxCoeff();
    QVERIFY2(error < 1e-6, qPrintable(QString::number(error)));
}

void HessianTest::doesNotDependOnPartsAndThreads()
{
    const Matrix x = inputs(1500, 150);
    const Hessian whole = summed(x, {1500});
    for (const std::vector<long>& parts : {std::vector<long> {40}, {512}, {700}, {3, 600, 9}}) {
        setThreads(static_cast<int>(parts.size()) * 2 - 1);
        QVERIFY(std::ranges::equal(summed(x, parts).lower, whole.lower));
    }
    setThreads(0);
}

void HessianTest::keepsDigitsOverManyTokens()
{
    // 0.1 * 0.1 added two hundred thousand times: floats alone would be wrong in the fourth digit.
    const Matrix x = Matrix::Constant(20000, 3, 0.1F);
    NoProgress progress;
    ProductSum sum(3);
    for (int i = 0; i < 10; ++i)
        sum.add(x, progress);
    const double expected = static_cast<double>(0.1F) * static_cast<double>(0.1F);
    const double error = std::abs(static_cast<double>(sum.mean(progress).lower[4]) / expected - 1);
    QVERIFY2(error < 2e-6, qPrintable(QString::number(error)));
}

void HessianTest::stopsWhenCancelled()
{
    struct Stop final : Progress {
        void report(double, std::string_view) override { }
        bool cancelled() const override { return true; }
    } stop;
    ProductSum sum(200);
    QVERIFY_THROWS_EXCEPTION(Cancelled, sum.add(inputs(512, 200), stop));
}

void HessianTest::refusesDamage_data()
{
    QTest::addColumn<int>("value");
    QTest::addColumn<float>("becomes");
    QTest::newRow("no number") << 1 << std::numeric_limits<float>::quiet_NaN();
    QTest::newRow("infinite") << 4 << std::numeric_limits<float>::infinity();
    QTest::newRow("negative on the diagonal") << 2 << -1.0F;
}

void HessianTest::refusesDamage()
{
    QFETCH(int, value);
    QFETCH(float, becomes);
    std::vector<float> lower {1, 0.5, 2, -0.25, 0, 3};
    NoProgress progress;
    QCOMPARE(Hessian::of(3, lower).matrix(progress)(0, 2), -0.25F);
    lower[static_cast<std::size_t>(value)] = becomes;
    QVERIFY_THROWS_EXCEPTION(Error, Hessian::of(3, lower).matrix(progress));
}

QTEST_GUILESS_MAIN(HessianTest)
#include "tst_hessian.moc"
