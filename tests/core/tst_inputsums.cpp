#include "core/inputsums.h"

#include "core/error.h"
#include "core/modelmaker.h"
#include "core/parallel.h"

#include <QTest>

#include <limits>

using namespace quern;

namespace {

Matrix values(long tokens, long cols, std::uint64_t seed)
{
    modelmaker::Random random(seed);
    Matrix x(tokens, cols);
    for (long i = 0; i < x.size(); ++i)
        x.data()[i] = random.normal() * static_cast<float>(1 + i % 7);
    return x;
}

QString complaint(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

bool same(const InputStats& a, const InputStats& b)
{
    bool equal = a.hessians.size() == b.hessians.size();
    for (std::size_t i = 0; equal && i < a.hessians.size(); ++i)
        equal = !a.hessians[i] == !b.hessians[i]
            && (!a.hessians[i] || std::ranges::equal(a.hessians[i]->lower, b.hessians[i]->lower));
    return equal && a.sumSquares == b.sumSquares && a.counts == b.counts && a.sumMagnitudes == b.sumMagnitudes
        && a.maxMagnitudes == b.maxMagnitudes && a.inputs.counts == b.inputs.counts;
}

} // namespace

class InputSumsTest final : public QObject {
    Q_OBJECT

    NoProgress m_progress;

    InputStats summed(const Matrix& x, long part)
    {
        InputSums sums("w", 1, x.cols(), true);
        for (long first = 0; first < x.rows(); first += part)
            sums.add(0, x.middleRows(first, std::min(part, x.rows() - first)), m_progress);
        return sums.finished(m_progress);
    }

private slots:
    void sumsAreThoseOfBruteForce_data();
    void sumsAreThoseOfBruteForce();
    void keepsExpertsApart();
    void doesNotDependOnPartsAndThreads();
    void countsOutputs();
    void namesTheTensorOfWhatIsNotFinite_data();
    void namesTheTensorOfWhatIsNotFinite();
};

void InputSumsTest::sumsAreThoseOfBruteForce_data()
{
    QTest::addColumn<int>("cols");
    for (const int cols : {1, 63, 64, 1000, 1025}) // less than a strip, one, several, narrow last one
        QTest::addRow("%d columns", cols) << cols;
}

void InputSumsTest::sumsAreThoseOfBruteForce()
{
    QFETCH(int, cols);
    const Matrix x = values(300, cols, 1);
    const InputStats stats = summed(x, 100);
    LogHistogram histogram;
    histogram.counts.resize(LogHistogram::kBins);
    const Matrix products = stats.hessians[0]->matrix(m_progress);
    for (long c = 0; c < cols; ++c) {
        double squares = 0, magnitudes = 0;
        float largest = 0;
        for (long t = 0; t < x.rows(); ++t) {
            squares += std::pow(static_cast<double>(x(t, c)), 2);
            magnitudes += std::abs(static_cast<double>(x(t, c)));
            largest = std::max(largest, std::abs(x(t, c)));
            ++histogram.counts[LogHistogram::bin(x(t, c))];
        }
        QCOMPARE(stats.sumSquares(0, c), static_cast<double>(static_cast<float>(squares)));
        QCOMPARE(stats.sumMagnitudes(0, c), static_cast<double>(static_cast<float>(magnitudes)));
        QCOMPARE(stats.maxMagnitudes(0, c), largest);
        const double h = products(c, c);
        QVERIFY(std::abs(h / (squares / 300) - 1) < 1e-5);
    }
    QCOMPARE(stats.counts, std::vector<double> {300});
    QCOMPARE(stats.inputs.counts, histogram.counts);
}

void InputSumsTest::keepsExpertsApart()
{
    const Matrix a = values(20, 70, 1), b = values(30, 70, 2);
    InputSums sums("blk.0.ffn_up_exps.weight", 3, 70, true);
    sums.add(2, a, m_progress);
    sums.add(0, b.topRows(10), m_progress);
    sums.add(0, b.bottomRows(20), m_progress);
    QCOMPARE(sums.count(), 50.0);
    const InputStats stats = sums.finished(m_progress), onlyA = summed(a, 20), onlyB = summed(b, 30);
    QCOMPARE(stats.counts, (std::vector<double> {30, 0, 20}));
    QVERIFY(stats.sumSquares.row(0) == onlyB.sumSquares && stats.sumSquares.row(2) == onlyA.sumSquares);
    QVERIFY(stats.maxMagnitudes.row(2) == onlyA.maxMagnitudes && stats.sumSquares.row(1).isZero(0));
    QVERIFY(stats.hessians[0] && !stats.hessians[1]);
    QVERIFY(std::ranges::equal(stats.hessians[2]->lower, onlyA.hessians[0]->lower));
    QCOMPARE(stats.inputs.total(), std::uint64_t {50 * 70});
    QCOMPARE(stats.importance(1), std::vector<float>(70, 1.0F));
}

void InputSumsTest::doesNotDependOnPartsAndThreads()
{
    const Matrix x = values(1100, 200, 5);
    const InputStats whole = summed(x, 1100);
    for (const long part : {50, 512, 1000}) {
        setThreads(part == 50 ? 1 : 3);
        QVERIFY(same(summed(x, part), whole));
    }
    setThreads(0);
}

void InputSumsTest::countsOutputs()
{
    const Matrix y = values(50, 33, 9);
    OutputCounts outputs("w");
    outputs.add(y.topRows(3), m_progress);
    outputs.add(y.bottomRows(47), m_progress);
    LogHistogram expected;
    expected.counts.resize(LogHistogram::kBins);
    for (long i = 0; i < y.size(); ++i)
        ++expected.counts[LogHistogram::bin(y.data()[i])];
    QCOMPARE(outputs.finished().counts, expected.counts);
}

void InputSumsTest::namesTheTensorOfWhatIsNotFinite_data()
{
    QTest::addColumn<float>("value");
    QTest::addColumn<QString>("says");
    QTest::newRow("infinite") << std::numeric_limits<float>::infinity() << "inf";
    QTest::newRow("minus infinite") << -std::numeric_limits<float>::infinity() << "-inf";
    QTest::newRow("no number") << std::numeric_limits<float>::quiet_NaN() << "nan";
}

void InputSumsTest::namesTheTensorOfWhatIsNotFinite()
{
    QFETCH(float, value);
    QFETCH(QString, says);
    Matrix x = values(40, 90, 1);
    InputSums sums("blk.3.ffn_down.weight", 1, 90, false);
    sums.add(0, x, m_progress);
    x(17, 81) = value;
    OutputCounts outputs("blk.3.ffn_down.weight");
    for (const QString& said :
         {complaint([&] { sums.add(0, x, m_progress); }), complaint([&] { outputs.add(x, m_progress); })}) {
        QVERIFY2(said.contains("blk.3.ffn_down.weight") && said.contains("81") && said.contains(says),
                 qPrintable(said));
    }
}

QTEST_GUILESS_MAIN(InputSumsTest)
#include "tst_inputsums.moc"
