#include "core/shift.h"

#include "core/error.h"
#include "core/inputsums.h"
#include "core/parallel.h"
#include "tests/core/moments.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <QTest>

using namespace quern;

// Targets for inputs that have drifted, against the formula in doubles.
class TestShift final : public QObject {
    Q_OBJECT

    NoProgress m_progress;

private slots:
    void collectsWhatInputsLack();
    void isTheClosedForm_data();
    void isTheClosedForm();
    void lowersTheObjective();
    void sharesWhatInputsShare();
    void stopsWhenCancelled();
};

namespace {

constexpr long kTokens = 700;

// Inputs x, and x + d of which some is a linear function of x, as errors of blocks before are.
struct Inputs {
    Matrix x, original;
};

Inputs drifted(long n, unsigned seed = 1)
{
    Inputs inputs;
    inputs.x = moments::normal(kTokens, n, seed)
        + moments::normal(kTokens, 3, seed + 1) * moments::normal(3, n, seed + 2) * 2;
    inputs.x.col(n / 2) *= 9;
    inputs.original
        = inputs.x + 0.02F * inputs.x * moments::normal(n, n, seed + 3) + 0.1F * moments::normal(kTokens, n, seed + 4);
    return inputs;
}

InputStats statsOf(const Inputs& inputs, long part = kTokens)
{
    NoProgress progress;
    InputSums sums("w", 1, inputs.x.cols(), true);
    for (long first = 0; first < kTokens; first += part) {
        const long n = std::min(part, kTokens - first);
        sums.add(0, inputs.x.middleRows(first, n), inputs.original.middleRows(first, n), progress);
    }
    return sums.finished(progress);
}

double relative(const Eigen::MatrixXd& found, const Eigen::MatrixXd& expected)
{
    return (found - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
}

} // namespace

// E[z zᵀ] of z = (x, d); its leading part is the H that there is without a drift, to the bit.
void TestShift::collectsWhatInputsLack()
{
    const Inputs inputs = drifted(70);
    const InputStats stats = statsOf(inputs, 300);
    InputSums plain("w", 1, 70, true);
    plain.add(0, inputs.x, m_progress);
    const InputStats without = plain.finished(m_progress);
    QVERIFY(without.drifted == nullptr && stats.sumSquares == without.sumSquares);
    QVERIFY(std::ranges::equal(stats.hessians[0]->lower, without.hessians[0]->lower));
    Eigen::MatrixXd z(kTokens, 140);
    z << inputs.x.cast<double>(), (inputs.original - inputs.x).cast<double>();
    QVERIFY(relative(stats.drifted->matrix(m_progress).cast<double>(), z.transpose() * z / kTokens) < 1e-6);
}

void TestShift::isTheClosedForm_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<double>("trust");
    QTest::addColumn<double>("damping");
    for (const int size : {1, 63, 64, 200})
        for (const double trust : {0.25, 1.0})
            QTest::addRow("%d columns, trust %g", size, trust) << size << trust << 0.01;
    QTest::addRow("more damping") << 130 << 1.0 << 0.3;
}

void TestShift::isTheClosedForm()
{
    QFETCH(int, size);
    QFETCH(double, trust);
    QFETCH(double, damping);
    const Inputs inputs = drifted(size);
    const InputStats stats = statsOf(inputs);
    const Eigen::MatrixXd x = inputs.x.cast<double>(), d = (inputs.original - inputs.x).cast<double>();
    Eigen::MatrixXd h = x.transpose() * x / kTokens;
    h.diagonal().array() += damping * h.diagonal().mean();
    const Eigen::MatrixXd expected = trust * (d.transpose() * x / kTokens) * h.inverse();
    setThreads(3);
    const Matrix found = shiftOf(*stats.drifted, trust, damping, m_progress);
    setThreads(1);
    QVERIFY(found == shiftOf(*stats.drifted, trust, damping, m_progress));
    setThreads(0);
    const double error = relative(found.cast<double>(), expected);
    QVERIFY2(error < 1e-4, qPrintable(QString::number(error)));
    // Inputs that have not drifted leave the targets where they are.
    QVERIFY(shiftOf(*statsOf({inputs.x, inputs.x}).drifted, trust, damping, m_progress).isZero(0));
}

// |W (x + d) - V x|² falls with trust, down to what no V can change.
void TestShift::lowersTheObjective()
{
    const long n = 96;
    const Inputs inputs = drifted(n);
    const InputStats stats = statsOf(inputs);
    const Matrix weights = moments::normal(20, n, 9);
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w", {20, n}, std::vector(weights.data(), weights.data() + weights.size()));
    const Matrix wanted = inputs.original * weights.transpose();
    double last = (wanted - inputs.x * weights.transpose()).squaredNorm();
    const double first = last;
    for (const double trust : {0.25, 0.5, 1.0}) {
        Shifts shifts(trust);
        shifts.add("w", &stats, m_progress);
        const Matrix v = shifts.rows(tensor, 0, 20);
        QVERIFY(v.middleRows(5, 7) == shifts.rows(tensor, 5, 7));
        const double error = (wanted - inputs.x * v.transpose()).squaredNorm();
        QVERIFY2(error < 0.9 * last, qPrintable(QString("%1 after %2").arg(error).arg(last)));
        last = error;
    }
    const Eigen::MatrixXd x = inputs.x.cast<double>();
    const Eigen::MatrixXd best = (x.transpose() * x).ldlt().solve(x.transpose() * wanted.cast<double>()).transpose();
    const double least = (wanted.cast<double>() - x * best.transpose()).squaredNorm();
    QVERIFY2(last - least < 0.02 * (first - least), qPrintable(QString("%1 of %2").arg(last).arg(least)));
}

void TestShift::sharesWhatInputsShare()
{
    InputStats stats = statsOf(drifted(40));
    const InputStats other = stats;
    Shifts shifts(1);
    shifts.add("a", &stats, m_progress);
    struct Stop final : Progress {
        void report(double, std::string_view) override { }
        bool cancelled() const override { return true; }
    } stop;
    shifts.add("b", &other, stop); // has nothing left to do
    stats.drifted = nullptr;
    shifts.add("c", &stats, m_progress);
    shifts.add("d", nullptr, m_progress);
    QVERIFY(shifts.has("a") && shifts.has("b") && !shifts.has("c") && !shifts.has("d"));
}

void TestShift::stopsWhenCancelled()
{
    struct Stop final : Progress {
        void report(double, std::string_view) override { }
        bool cancelled() const override { return true; }
    } stop;
    const InputStats stats = statsOf(drifted(40));
    QVERIFY_THROWS_EXCEPTION(Cancelled, shiftOf(*stats.drifted, 1, 0.01, stop));
}

QTEST_GUILESS_MAIN(TestShift)
#include "tst_shift.moc"
