#include "core/stats.h"

#include "core/modelmaker.h"
#include "core/parallel.h"

#include <QTest>

#include <cmath>
#include <limits>
#include <numeric>

using namespace quern;

namespace {

struct Expected {
    double min, max, mean, std, skewness, kurtosis;
    std::uint64_t zeros = 0, nonFinite = 0, outliers = 0;
};

Expected bruteForce(const Matrix& w)
{
    std::vector<long double> x;
    Expected e {};
    for (const float v : w.reshaped<Eigen::RowMajor>()) {
        if (!std::isfinite(v)) {
            ++e.nonFinite;
            continue;
        }
        x.push_back(v);
        e.zeros += v == 0;
    }
    const auto n = static_cast<long double>(x.size());
    const long double mean = std::accumulate(x.begin(), x.end(), 0.0L) / n;
    long double m2 = 0, m3 = 0, m4 = 0;
    for (const long double v : x) {
        m2 += (v - mean) * (v - mean) / n;
        m3 += (v - mean) * (v - mean) * (v - mean) / n;
        m4 += (v - mean) * (v - mean) * (v - mean) * (v - mean) / n;
    }
    e.min = static_cast<double>(*std::ranges::min_element(x));
    e.max = static_cast<double>(*std::ranges::max_element(x));
    e.mean = static_cast<double>(mean);
    e.std = static_cast<double>(std::sqrt(m2));
    e.skewness = static_cast<double>(m3 / std::pow(m2, 1.5L));
    e.kurtosis = static_cast<double>(m4 / (m2 * m2) - 3);
    for (const long double v : x)
        e.outliers += std::abs(v - mean) > 6 * std::sqrt(m2);
    return e;
}

bool near(double a, double b, double scale)
{
    return std::abs(a - b) <= 1e-9 * std::max(std::abs(b), scale);
}

TensorStats statsOf(const Tensor& tensor, int bins = 100)
{
    NoProgress progress;
    return tensorStats(tensor, bins, progress);
}

std::uint64_t sum(const Histogram& histogram)
{
    return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t {0});
}

// Normal weights with a few outliers, zeros and, in formats that have them, non-finite ones.
std::vector<float> weights(std::size_t n, bool broken)
{
    auto w = modelmaker::normalWeights(n, 9);
    for (std::size_t i = 0; i < n; i += 1001)
        w[i] = i % 2 ? 0.4F : -0.7F;
    for (std::size_t i = 7; i < n; i += 97)
        w[i] = 0;
    if (broken) {
        w[11] = std::numeric_limits<float>::infinity();
        w[12] = -std::numeric_limits<float>::infinity();
        w[n - 1] = std::numeric_limits<float>::quiet_NaN();
    }
    return w;
}

} // namespace

class TestStats : public QObject {
    Q_OBJECT

private slots:
    void agreesWithBruteForce_data();
    void agreesWithBruteForce();
    void countsEveryBinAsItsEdgesSay_data();
    void countsEveryBinAsItsEdgesSay();
    void keepsTheTailsOfTheCentre();
    void describesOneValue();
    void describesNothingButNaN();
    void listsTheLargestChannels();
    void isTheSameForAnyNumberOfThreads_data();
    void isTheSameForAnyNumberOfThreads();
    void readsIntegersOfBothSigns();
    void stopsWhenCancelled();
};

void TestStats::agreesWithBruteForce_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("cols");
    for (const char* format : {"F32", "BF16", "F16", "F64", "Q8_0", "Q4_0"})
        for (const auto& [rows, cols] : {std::pair {300, 512}, {1, 64}, {97, 96}})
            if (findBlockFormat(format)->encode)
                QTest::addRow("%s %d x %d", format, rows, cols) << format << rows << cols;
}

void TestStats::agreesWithBruteForce()
{
    QFETCH(QString, format);
    QFETCH(int, rows);
    QFETCH(int, cols);
    Model model;
    const bool floats = findBlockFormat(format.toStdString())->floating();
    const Tensor& tensor = modelmaker::add(
        model, "w", {rows, cols}, weights(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols), floats),
        format.toUtf8().constData());
    const Matrix w = decoded(tensor);
    const Expected e = bruteForce(w);
    const TensorStats s = statsOf(tensor);
    QCOMPARE(s.count, static_cast<std::uint64_t>(rows * cols));
    QCOMPARE(s.zeros, e.zeros);
    QCOMPARE(s.nonFinite, e.nonFinite);
    QCOMPARE(s.outliers, e.outliers);
    QCOMPARE(s.min, e.min);
    QCOMPARE(s.max, e.max);
    QCOMPARE(s.absMax, std::max(-e.min, e.max));
    QVERIFY(near(s.mean, e.mean, e.std));
    QVERIFY(near(s.std, e.std, 0));
    QVERIFY(near(s.skewness, e.skewness, 1));
    QVERIFY(near(s.kurtosis, e.kurtosis, 1));
    const Matrix finite = w.unaryExpr([](float v) { return std::isfinite(v) ? std::abs(v) : 0.0F; });
    for (long c = 0; c < cols; ++c)
        QCOMPARE(s.columnAbsMax.at(static_cast<std::size_t>(c)), finite.col(c).maxCoeff());
    for (long r = 0; r < rows; ++r)
        QCOMPARE(s.rowAbsMax.at(static_cast<std::size_t>(r)), finite.row(r).maxCoeff());
}

void TestStats::countsEveryBinAsItsEdgesSay_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"F32", "BF16", "Q8_0"})
        QTest::addRow("%s", format) << format;
}

void TestStats::countsEveryBinAsItsEdgesSay()
{
    QFETCH(QString, format);
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w", {64, 512}, weights(64 * 512, false), format.toUtf8().constData());
    const TensorStats s = statsOf(tensor, 37);
    QCOMPARE(s.histogram.counts.size(), std::size_t {37});
    std::vector<std::uint64_t> expected(37);
    const Matrix w = decoded(tensor);
    for (const float v : w.reshaped())
        ++expected[std::min<std::size_t>(36, static_cast<std::size_t>((v - s.min) / (s.max - s.min) * 37))];
    QCOMPARE(s.histogram.counts, expected);
    QCOMPARE(sum(s.histogram), s.count);
    QCOMPARE(s.histogram.below + s.histogram.above, std::uint64_t {0});
}

void TestStats::keepsTheTailsOfTheCentre()
{
    for (const char* format : {"F32", "BF16"}) {
        Model model;
        const Tensor& tensor = modelmaker::add(model, "w", {200, 500}, weights(100'000, false), format);
        const TensorStats s = statsOf(tensor);
        const Matrix w = decoded(tensor);
        std::uint64_t below = 0, above = 0;
        for (const float v : w.reshaped()) {
            below += v < s.centre.low;
            above += v > s.centre.high;
        }
        QCOMPARE(s.centre.below, below);
        QCOMPARE(s.centre.above, above);
        QCOMPARE(sum(s.centre) + below + above, s.count);
        // 99.9 % of the weights and hardly more: outliers do not stretch it.
        QVERIFY(below <= 50 && above <= 50 && below + above >= 60);
        QVERIFY(s.centre.high < 0.1 && s.max > 0.3);
    }
}

void TestStats::describesOneValue()
{
    for (const char* format : {"F32", "BF16"}) {
        Model model;
        const TensorStats s = statsOf(modelmaker::add(model, "w", {4, 32}, std::vector<float>(128, 0.5F), format));
        QCOMPARE(s.mean, 0.5);
        QCOMPARE(s.std, 0.0);
        QCOMPARE(s.kurtosis, 0.0);
        QCOMPARE(s.outliers, std::uint64_t {0});
        QCOMPARE(s.histogram.counts, std::vector<std::uint64_t> {128});
        QCOMPARE(s.centre.counts, std::vector<std::uint64_t> {128});
    }
}

void TestStats::describesNothingButNaN()
{
    for (const char* format : {"F32", "BF16"}) {
        Model model;
        const TensorStats s = statsOf(modelmaker::add(
            model, "w", {2, 32}, std::vector<float>(64, std::numeric_limits<float>::quiet_NaN()), format));
        QCOMPARE(s.nonFinite, std::uint64_t {64});
        QCOMPARE(s.max, 0.0);
        QCOMPARE(s.columnAbsMax.size(), std::size_t {32});
        QVERIFY(s.histogram.counts.empty());
    }
}

void TestStats::listsTheLargestChannels()
{
    Model model;
    std::vector<float> w(10 * 8, 0.1F);
    w[3 * 8 + 5] = -9;
    w[7 * 8 + 2] = 4;
    const auto top = statsOf(modelmaker::add(model, "w", {10, 8}, w, "BF16")).topChannels(3);
    QCOMPARE(top.size(), std::size_t {3});
    QCOMPARE(top[0].index, 5L);
    QCOMPARE(top[0].absMax, 9.0F);
    QCOMPARE(top[1].index, 2L);
    QCOMPARE(top[2].index, 0L); // the first of equals
}

void TestStats::isTheSameForAnyNumberOfThreads_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"F32", "BF16", "Q4_0"})
        QTest::addRow("%s", format) << format;
}

void TestStats::isTheSameForAnyNumberOfThreads()
{
    QFETCH(QString, format);
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w", {3000, 1024}, weights(3000 * 1024, false), format.toUtf8().constData());
    std::vector<TensorStats> all;
    for (const int threads : {1, 2, 7}) {
        setThreads(threads);
        all.push_back(statsOf(tensor));
    }
    setThreads(0);
    for (const TensorStats& s : all) {
        QVERIFY(s.mean == all[0].mean && s.std == all[0].std && s.skewness == all[0].skewness
                && s.kurtosis == all[0].kurtosis);
        QCOMPARE(s.histogram.counts, all[0].histogram.counts);
        QCOMPARE(s.columnAbsMax, all[0].columnAbsMax);
    }
}

void TestStats::readsIntegersOfBothSigns()
{
    const BlockFormat* format = findBlockFormat("I8");
    QVERIFY(format);
    const std::array<std::int8_t, 6> values {-128, 127, 0, -1, 5, -128};
    const Tensor tensor {.name = "w", .shape = {2, 3}, .format = format, .bytes = std::as_bytes(std::span(values))};
    const TensorStats s = statsOf(tensor);
    QCOMPARE(s.min, -128.0);
    QCOMPARE(s.max, 127.0);
    QCOMPARE(s.zeros, std::uint64_t {1});
    QCOMPARE(s.rowAbsMax, (std::vector<float> {128, 128}));
    QCOMPARE(s.columnAbsMax, (std::vector<float> {128, 127, 128}));
}

void TestStats::stopsWhenCancelled()
{
    class Stopped final : public Progress {
    public:
        void report(double, std::string_view) override { }
        bool cancelled() const override { return true; }
    } progress;
    Model model;
    for (const char* format : {"F32", "BF16"})
        QVERIFY_EXCEPTION_THROWN(
            tensorStats(modelmaker::add(model, "w", {4, 32}, std::vector<float>(128), format), 10, progress),
            Cancelled);
}

QTEST_GUILESS_MAIN(TestStats)
#include "tst_stats.moc"
