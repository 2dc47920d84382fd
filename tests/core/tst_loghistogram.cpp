#include "core/loghistogram.h"

#include "core/modelmaker.h"

#include <QTest>

#include <limits>

using namespace quern;

namespace {

LogHistogram of(const std::vector<float>& values)
{
    LogHistogram histogram;
    histogram.counts.resize(LogHistogram::kBins);
    for (const float value : values)
        ++histogram.counts[LogHistogram::bin(value)];
    return histogram;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

} // namespace

class LogHistogramTest final : public QObject {
    Q_OBJECT

private slots:
    void everyValueIsBetweenTheEdgesOfItsBin();
    void edgesAscend();
    void knowsWhatIsTooSmallAndTooLarge();
    void addsUp();
    void findsQuantiles();
    void spreadsEvenlyAndLosesNothing();
};

void LogHistogramTest::everyValueIsBetweenTheEdgesOfItsBin()
{
    modelmaker::Random random(3);
    for (int i = 0; i < 20000; ++i) {
        const float x = std::ldexp(random.uniform(), static_cast<int>(random.uniform() * 40));
        const std::uint32_t bin = LogHistogram::bin(x);
        QVERIFY(bin < LogHistogram::kBins);
        QVERIFY(LogHistogram::edge(bin) <= x && x <= LogHistogram::edge(bin + 1));
    }
    for (std::size_t i = 1; i < LogHistogram::kBins; ++i) { // an edge belongs to the bin that is farther from 0
        const auto x = static_cast<float>(LogHistogram::edge(i));
        QCOMPARE(LogHistogram::bin(x), x > 0 ? i : i - 1);
    }
}

void LogHistogramTest::edgesAscend()
{
    for (std::size_t i = 0; i < LogHistogram::kBins; ++i)
        QVERIFY(LogHistogram::edge(i) < LogHistogram::edge(i + 1));
    QCOMPARE(LogHistogram::edge(LogHistogram::kBins), static_cast<double>(kInfinity));
    QCOMPARE(LogHistogram::edge(LogHistogram::kMiddle + 1), std::ldexp(1.0, -24));
    QCOMPARE(LogHistogram::edge(LogHistogram::kMiddle + 2), std::ldexp(17.0, -28));
}

void LogHistogramTest::knowsWhatIsTooSmallAndTooLarge()
{
    QCOMPARE(LogHistogram::bin(0.0F), LogHistogram::kMiddle);
    QCOMPARE(LogHistogram::bin(-0.0F), LogHistogram::kMiddle);
    QCOMPARE(LogHistogram::bin(-1e-30F), LogHistogram::kMiddle);
    QCOMPARE(LogHistogram::bin(3e38F), LogHistogram::kBins - 1);
    QCOMPARE(LogHistogram::bin(-kInfinity), std::size_t {0});
    QCOMPARE(LogHistogram::bin(0x1p24F), LogHistogram::kBins - 1);
    QCOMPARE(LogHistogram::bin(0x1.fffffep23F), LogHistogram::kBins - 2);
}

void LogHistogramTest::addsUp()
{
    LogHistogram a = of({1, 2, 2}), none;
    a.merge(none);
    QCOMPARE(a.total(), std::uint64_t {3});
    none.merge(a);
    none.merge(of({2, -5}));
    QCOMPARE(none.counts, of({1, 2, 2, 2, -5}).counts);
}

void LogHistogramTest::findsQuantiles()
{
    std::vector<float> values(10000);
    for (int i = 0; i < 10000; ++i)
        values[static_cast<std::size_t>(i)] = static_cast<float>(i - 5000) / 100;
    const LogHistogram histogram = of(values);
    for (const double share : {0.001, 0.1, 0.5, 0.9, 0.999})
        QVERIFY(std::abs(histogram.quantile(share) - (share * 100 - 50)) < 0.05);
    QCOMPARE(LogHistogram().quantile(0.5), 0.0);
}

void LogHistogramTest::spreadsEvenlyAndLosesNothing()
{
    std::vector<float> values(100000);
    for (int i = 0; i < 100000; ++i)
        values[static_cast<std::size_t>(i)] = static_cast<float>(i) / 1000 - 20;
    const LogHistogram histogram = of(values);
    const Histogram shown = histogram.evenly(-10, 50, 30);
    QCOMPARE(shown.counts.size(), std::size_t {30});
    std::uint64_t sum = shown.below + shown.above;
    for (const std::uint64_t count : shown.counts) {
        QVERIFY2(std::abs(static_cast<double>(count) - 2000) < 60, qPrintable(QString::number(count)));
        sum += count;
    }
    QCOMPARE(sum, histogram.total());
    QVERIFY(std::abs(static_cast<double>(shown.below) - 10000) < 60);

    const Histogram tails = of({-1e30F, 0, 1e30F}).evenly(-1, 1, 3);
    QCOMPARE(tails.below, std::uint64_t {1});
    QCOMPARE(tails.above, std::uint64_t {1});
    QCOMPARE(tails.counts, (std::vector<std::uint64_t> {0, 1, 0}));
}

QTEST_GUILESS_MAIN(LogHistogramTest)
#include "tst_loghistogram.moc"
