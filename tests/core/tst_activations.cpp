#include "core/activations.h"
#include "core/measure.h"
#include "tests/core/modelmaker.h"

#include <QtTest>

#include <cmath>

using namespace quern;

class TestActivations : public QObject {
    Q_OBJECT

private slots:
    void addsExpertsUp();
    void scoresOutliers();
    void describesCountedValues();
    void keepsEveryValue();
    void livesWithExtremes();
    void isAMeasure();
};

namespace {

InputStats inputsOf(std::initializer_list<double> squares, double count)
{
    InputStats inputs;
    inputs.sumSquares.resize(1, static_cast<long>(squares.size()));
    long i = 0;
    for (const double square : squares)
        inputs.sumSquares(0, i++) = square;
    inputs.counts = {count};
    return inputs;
}

LogHistogram counted(std::span<const float> values)
{
    LogHistogram histogram;
    histogram.counts.resize(LogHistogram::kBins);
    for (const float value : values)
        ++histogram.counts[LogHistogram::bin(value)];
    return histogram;
}

bool near(double found, double expected, double share)
{
    return std::abs(found - expected) <= share * std::abs(expected);
}

} // namespace

void TestActivations::addsExpertsUp()
{
    InputStats inputs;
    inputs.sumSquares.resize(2, 3);
    inputs.sumSquares << 4, 0, 36, 12, 0, 0;
    inputs.counts = {1, 3};
    QCOMPARE(channelRms(inputs), (std::vector<float> {2, 0, 3}));
    inputs.counts = {0, 0};
    QVERIFY(channelRms(inputs).empty());
    QCOMPARE(strongestFirst(std::vector<float> {2, 0, 3, 2}), (std::vector<long> {2, 0, 3, 1}));
}

void TestActivations::scoresOutliers()
{
    QCOMPARE(outlierScore(inputsOf({4, 4, 4, 400}, 1)).value(), 10.0);
    QCOMPARE(outlierScore(inputsOf({4, 16, 400}, 4)).value(), 5.0);
    QCOMPARE(outlierScore(inputsOf({1, 1}, 7)).value(), 1.0);
    QVERIFY(std::isinf(outlierScore(inputsOf({0, 0, 1}, 1)).value()));
    QVERIFY(!outlierScore(inputsOf({0, 0, 0}, 1)));
    QVERIFY(!outlierScore(inputsOf({1, 2}, 0)));
}

void TestActivations::describesCountedValues()
{
    std::vector<float> values = modelmaker::normalWeights(200'000, 3);
    for (float& value : values)
        value = 2 + 3 * value / 0.02F;
    const auto compare = [&](const TensorStats& stats, double share) {
        double mean = 0, square = 0;
        for (const float value : values)
            mean += value / static_cast<double>(values.size());
        for (const float value : values)
            square += (value - mean) * (value - mean) / static_cast<double>(values.size());
        QCOMPARE(stats.count, values.size());
        QVERIFY2(near(stats.mean, mean, share), qPrintable(QString::number(stats.mean - mean)));
        QVERIFY2(near(stats.std, std::sqrt(square), share), qPrintable(QString::number(stats.std)));
    };
    compare(countedStats(counted(values), 512), 0.002);
    values.push_back(4000); // of which nearly all of the variance now is
    const TensorStats stats = countedStats(counted(values), 512);
    compare(stats, 0.03);
    QVERIFY(stats.max >= 4000 && stats.max <= 4000 * 1.0626);
    QCOMPARE(stats.outliers, 1U);
    QVERIFY(stats.kurtosis > 100);
    // The outlier does not stretch the centre.
    QVERIFY(stats.centre.high < 1000);
    QCOMPARE(stats.centre.counts.size(), std::size_t {512});
}

void TestActivations::keepsEveryValue()
{
    const auto values = modelmaker::normalWeights(10'000, 4);
    const TensorStats stats = countedStats(counted(values), 64);
    for (const Histogram& histogram : {stats.histogram, stats.centre}) {
        std::uint64_t sum = histogram.below + histogram.above;
        for (const std::uint64_t count : histogram.counts)
            sum += count;
        QCOMPARE(sum, values.size());
    }
    QCOMPARE(stats.histogram.below + stats.histogram.above, 0U);
    QVERIFY(stats.centre.below + stats.centre.above >= 8);
}

void TestActivations::livesWithExtremes()
{
    QCOMPARE(countedStats({}, 16).count, 0U);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const TensorStats both = countedStats(counted(std::vector<float> {-kInfinity, 0, kInfinity}), 16);
    QCOMPARE(both.count, 3U);
    QVERIFY(std::isfinite(both.std) && std::isfinite(both.min) && std::isfinite(both.max));
    const TensorStats one = countedStats(counted(std::vector<float> {kInfinity, kInfinity}), 16);
    QCOMPARE(one.count, 2U);
    QCOMPARE(one.std, 0.0);
    const TensorStats zeros = countedStats(counted(std::vector<float>(100, 0.0F)), 16);
    QVERIFY(std::abs(zeros.mean) < 1e-6 && zeros.std < 1e-6);
}

void TestActivations::isAMeasure()
{
    const Measure* measure = findMeasure("input_outliers");
    QVERIFY(measure);
    Model model;
    modelmaker::add(model, "a.weight", {2, 4}, std::vector<float>(8, 1.0F));
    Measured known {model.tensors[0]};
    QVERIFY(!measure->value(known)); // unmeasured is not zero
    known.inputOutliers = 7;
    QCOMPARE(measure->value(known).value(), 7.0);
}

QTEST_GUILESS_MAIN(TestActivations)
#include "tst_activations.moc"
