// The search for scales and minima against an exhaustive one.
#include "core/fit.h"

#include <QTest>

#include <cmath>
#include <random>

using namespace quern;

class TestFit : public QObject {
    Q_OBJECT

private slots:
    void findsScales_data();
    void findsScales();
    void findsGrids_data();
    void findsGrids();
    void findsZeroPoints();
    void doesNotDependOnUnits();
    void sharesScalesAmongGroups();
    void survivesWeightsOfZero();
};

namespace {

constexpr std::size_t kGroup = 32;

std::vector<float> draw(std::size_t n, unsigned seed, float mean = 0.0f)
{
    std::mt19937 random(seed);
    std::student_t_distribution<float> student(5);
    std::vector<float> x(n);
    for (float& v : x)
        v = student(random) + mean;
    return x;
}

std::vector<float> weights(std::size_t n, unsigned seed)
{
    std::vector<float> w = draw(n, seed);
    for (float& v : w)
        v = std::exp(v);
    return w;
}

// Error of the nearest points scale * q + offset, q in [low, high].
double errorOf(std::span<const float> x, std::span<const float> w, const Grid& grid, float low, float high)
{
    double error = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float q = roundedWithin(position(grid, x[i]), low, high);
        error += double(w[i]) * std::pow(double(x[i]) - double(grid.scale) * q - grid.offset, 2);
    }
    return error;
}

float largest(std::span<const float> x)
{
    float found = 0;
    for (const float v : x)
        found = std::max(found, std::abs(v));
    return found;
}

} // namespace

void TestFit::findsScales_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<double>("slack");
    QTest::newRow("2 bits") << 2 << 1.01;
    QTest::newRow("3 bits") << 3 << 1.01;
    QTest::newRow("4 bits") << 4 << 1.01;
    QTest::newRow("5 bits") << 5 << 1.02;
    QTest::newRow("6 bits") << 6 << 1.06;
}

// Of 3000 scales of either sign, evenly spaced in codes per unit, the best.
void TestFit::findsScales()
{
    QFETCH(int, bits);
    QFETCH(double, slack);
    const auto low = static_cast<float>(-(1 << (bits - 1))), high = -low - 1;
    double ours = 0, best = 0;
    for (unsigned seed = 0; seed < 40; ++seed) {
        const std::vector<float> x = draw(kGroup, seed), w = weights(kGroup, seed + 100);
        ours += errorOf(x, w, {fitScale(Sample(x, w), {low, high}), 0.0f}, low, high);
        double least = HUGE_VAL;
        for (int i = 1; i <= 3000; ++i)
            for (const float sign : {1.0f, -1.0f}) {
                const float scale = sign * largest(x) / (-low * static_cast<float>(i) / 1000.0f);
                least = std::min(least, errorOf(x, w, {scale, 0.0f}, low, high));
            }
        best += least;
    }
    QVERIFY2(ours <= slack * best, qPrintable(QString::number(ours / best)));
}

void TestFit::findsGrids_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<double>("slack");
    QTest::newRow("2 bits") << 2 << 1.01;
    QTest::newRow("4 bits") << 4 << 1.01;
    QTest::newRow("5 bits") << 5 << 1.02;
}

// Of 60 x 60 ends of the range, inside and outside, the best.
void TestFit::findsGrids()
{
    QFETCH(int, bits);
    QFETCH(double, slack);
    const int top = (1 << bits) - 1;
    double ours = 0, best = 0;
    for (unsigned seed = 0; seed < 25; ++seed) {
        const std::vector<float> x = draw(kGroup, seed, 0.5f), w = weights(kGroup, seed + 100);
        const auto [low, high] = std::ranges::minmax(x);
        ours += errorOf(x, w, fitGrid(Sample(x, w), top), 0, static_cast<float>(top));
        double least = HUGE_VAL;
        for (int i = -6; i < 54; ++i)
            for (int j = -6; j < 54; ++j) {
                const float from = low + (high - low) * 0.008f * static_cast<float>(i);
                const float to = high - (high - low) * 0.008f * static_cast<float>(j);
                const Grid grid {(to - from) / static_cast<float>(top), from};
                least = std::min(least, errorOf(x, w, grid, 0, static_cast<float>(top)));
            }
        best += least;
    }
    QVERIFY2(ours <= slack * best, qPrintable(QString::number(ours / best)));
}

void TestFit::findsZeroPoints()
{
    double ours = 0, best = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
        const std::vector<float> x = draw(kGroup, seed, 0.7f), w = weights(kGroup, seed + 100);
        const ZeroFit fit = fitZero(Sample(x, w), 15);
        QVERIFY(fit.zero >= 0 && fit.zero <= 15 && fit.scale != 0);
        const auto error = [&](float scale, int zero) {
            return errorOf(x, w, {scale, 0.0f}, static_cast<float>(-zero), static_cast<float>(15 - zero));
        };
        ours += error(fit.scale, fit.zero);
        double least = HUGE_VAL;
        for (int zero = 0; zero <= 15; ++zero)
            for (int i = 1; i <= 500; ++i)
                least = std::min(least, error(largest(x) * 0.3f * static_cast<float>(i) / 500.0f, zero));
        best += least;
    }
    QVERIFY2(ours <= 1.05 * best, qPrintable(QString::number(ours / best)));
}

// Powers of two change nothing, as long as scales stay within the range of FP16.
void TestFit::doesNotDependOnUnits()
{
    const std::vector<float> x = draw(256, 1, 0.2f), w = weights(256, 2);
    std::vector<float> small = x, light = w;
    for (float& v : small)
        v *= 0x1p-4f;
    for (float& v : light)
        v *= 0x1p-90f;
    QCOMPARE(fitScale(Sample(small, light), {-8, 7}), 0x1p-4f * fitScale(Sample(x, w), {-8, 7}));
    const GridSet a = fitGrids(Sample(x, w), 32, 15, 63), b = fitGrids(Sample(small, light), 32, 15, 63);
    QVERIFY(a.scale == b.scale && a.minimum == b.minimum && b.d == 0x1p-4f * a.d && b.dmin == 0x1p-4f * a.dmin);
    const ScaleSet c = fitScales(Sample(x, w), 16, {-32, 31}, {-128, 127});
    const ScaleSet d = fitScales(Sample(small, light), 16, {-32, 31}, {-128, 127});
    QVERIFY(c.scale == d.scale && d.d == 0x1p-4f * c.d);
}

// Sharing d among 16 groups costs little against a scale of its own for each: six bits of scale are enough.
void TestFit::sharesScalesAmongGroups()
{
    double shared = 0, own = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
        const std::vector<float> x = draw(256, seed), w = weights(256, seed + 50);
        const ScaleSet set = fitScales(Sample(x, w), 16, {-4, 3}, {-32, 31});
        for (std::size_t g = 0; g < 16; ++g) {
            const std::span<const float> part(x.data() + 16 * g, 16), weight(w.data() + 16 * g, 16);
            const float scale = set.d * static_cast<float>(set.scale[g]);
            QVERIFY(set.scale[g] >= -32 && set.scale[g] <= 31);
            shared += errorOf(part, weight, {scale, 0.0f}, -4, 3);
            own += errorOf(part, weight, {fitScale(Sample(part, weight), {-4, 3}), 0.0f}, -4, 3);
        }
    }
    QVERIFY2(shared <= 1.03 * own, qPrintable(QString::number(shared / own)));
    QVERIFY2(shared >= 0.97 * own, qPrintable(QString::number(shared / own)));
}

// Channels that no text has touched have importance 0: whole groups of them, next to others.
void TestFit::survivesWeightsOfZero()
{
    const std::vector<float> x = draw(256, 3);
    std::vector<float> w = weights(256, 4);
    std::fill(w.begin(), w.begin() + 64, 0.0f);
    const GridSet grids = fitGrids(Sample(x, w), 32, 15, 63);
    const ScaleSet scales = fitScales(Sample(x, w), 16, {-32, 31}, {-128, 127});
    QVERIFY(std::isfinite(grids.d) && std::isfinite(grids.dmin) && std::isfinite(scales.d) && scales.d != 0);
    for (std::size_t g = 0; g < 8; ++g)
        QVERIFY(grids.scale[g] >= 0 && grids.scale[g] <= 63 && grids.minimum[g] >= 0 && grids.minimum[g] <= 63);
    const std::vector<float> first(w.begin(), w.begin() + 32);
    QCOMPARE(fitScale(Sample(std::span(x).first(32), first), {-8, 7}),
             fitScale(Sample(std::span(x).first(32), std::vector<float>(32, 1.0f)), {-8, 7}));
}

QTEST_GUILESS_MAIN(TestFit)
#include "tst_fit.moc"
