#include "core/rebin.h"

#include <QTest>

#include <numeric>

using namespace quern;

namespace {

// 8 bins of width 1 over [0, 8] that hold 1, 2, ... 8 values; 3 below, 5 above.
Histogram kept()
{
    return {.low = 0, .high = 8, .counts = {1, 2, 3, 4, 5, 6, 7, 8}, .below = 3, .above = 5};
}

std::uint64_t all(const Histogram& histogram)
{
    return std::accumulate(histogram.counts.begin(), histogram.counts.end(), histogram.below + histogram.above);
}

} // namespace

class TestRebin : public QObject {
    Q_OBJECT

private slots:
    void mergesWholeBins()
    {
        const Histogram half = rebinned(kept(), 0, 8, 4);
        QCOMPARE(half.counts, std::vector<std::uint64_t>({3, 7, 11, 15}));
        QCOMPARE(half.low, 0.0);
        QCOMPARE(half.high, 8.0);
        QCOMPARE(half.below, std::uint64_t {3});
        QCOMPARE(half.above, std::uint64_t {5});
    }
    void neverLosesAValue_data()
    {
        QTest::addColumn<double>("low");
        QTest::addColumn<double>("high");
        QTest::addColumn<int>("bins");
        QTest::newRow("all") << 0.0 << 8.0 << 8;
        QTest::newRow("bins that do not divide") << 0.0 << 8.0 << 3;
        QTest::newRow("a part") << 2.2 << 5.7 << 100;
        QTest::newRow("a part, merged beyond its end") << 1.0 << 6.0 << 2;
        QTest::newRow("within one bin") << 3.1 << 3.2 << 10;
        QTest::newRow("wider than the histogram") << -10.0 << 20.0 << 5;
        QTest::newRow("left of it") << -5.0 << -4.0 << 5;
        QTest::newRow("right of it") << 9.0 << 10.0 << 5;
        QTest::newRow("at its right edge") << 8.0 << 10.0 << 5;
    }
    void neverLosesAValue()
    {
        QFETCH(double, low);
        QFETCH(double, high);
        QFETCH(int, bins);
        const Histogram shown = rebinned(kept(), low, high, bins);
        QCOMPARE(all(shown), all(kept()));
        QVERIFY(shown.counts.size() <= static_cast<std::size_t>(bins));
    }
    void countsTailsOfAPart()
    {
        const Histogram part = rebinned(kept(), 2.2, 4.0, 100);
        QCOMPARE(part.low, 2.0);
        QCOMPARE(part.high, 4.0);
        QCOMPARE(part.counts, std::vector<std::uint64_t>({3, 4}));
        QCOMPARE(part.below, std::uint64_t {3 + 1 + 2});
        QCOMPARE(part.above, std::uint64_t {5 + 5 + 6 + 7 + 8});
    }
    void givesEqualValuesOneBin()
    {
        const Histogram one = rebinned({.low = 2, .high = 2, .counts = {7}}, 0, 4, 10);
        QCOMPARE(one.counts, std::vector<std::uint64_t>({7}));
        QCOMPARE(one.low, 2.0);
    }
    void prefersTheCentreWithinIt()
    {
        TensorStats stats;
        stats.histogram = {.low = -10, .high = 10, .counts = std::vector<std::uint64_t>(10)};
        stats.centre = {.low = -1, .high = 1, .counts = std::vector<std::uint64_t>(10)};
        QCOMPARE(&finestFor(stats, -1, 1), &stats.centre);
        QCOMPARE(&finestFor(stats, -1.1, 1), &stats.histogram);
    }
    void knowsWidthAndPeak()
    {
        QCOMPARE(binWidth(kept()), 1.0);
        QCOMPARE(largestCount(kept()), std::uint64_t {8});
        QCOMPARE(binWidth({}), 0.0);
        QCOMPARE(largestCount({}), std::uint64_t {0});
    }
};

QTEST_GUILESS_MAIN(TestRebin)
#include "tst_rebin.moc"
