// The search for scales and minima against exhaustive ones.
#include "core/search.h"
#include "tests/core/exactscale.h"

#include <QTest>

#include <bit>
#include <cmath>
#include <random>

using namespace quern;

class TestSearch : public QObject {
    Q_OBJECT

private slots:
    void comesNearTheExactScale_data();
    void comesNearTheExactScale();
    void comesNearTheBestGrid_data();
    void comesNearTheBestGrid();
    void findsZeroPoints();
    void fastIsNotFarBehind();
    void lanesDoNotDependOnEachOther();
    void aGroupMaySpanAllLanes();
    void doesNotDependOnUnits();
    void sharesScalesAmongGroups();
    void survivesWeightsOfZero();
    void centresValuesFarFromZero();
    void lanesRoundToHalves();
};

namespace {

constexpr std::size_t kGroup = 32, kGroups = kLanes;

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

Tile& loaded(Tile& tile, std::span<const float> x, std::span<const float> w)
{
    tile.load(x, w);
    return tile;
}

float largest(std::span<const float> x)
{
    float found = 0;
    for (const float v : x)
        found = std::max(found, std::abs(v));
    return found;
}

// Error of scales found for 16 groups, over the least possible.
double overExact(unsigned seed, int low, int high, bool weighted, Effort effort)
{
    const std::vector<float> x = draw(kGroups * kGroup, seed);
    const std::vector<float> w = weighted ? weights(x.size(), seed + 100) : std::vector<float>(x.size(), 1.0f);
    Tile tile(kGroup, 1);
    tile.load(x, weighted ? std::span<const float>(w) : std::span<const float>());
    const auto from = static_cast<float>(low), to = static_cast<float>(high);
    const ForEach<Grid> grids = findScales(tile, {from, to}, effort);
    double ours = 0, best = 0;
    for (std::size_t g = 0; g < kGroups; ++g) {
        const auto part = std::span(x).subspan(g * kGroup, kGroup), weight = std::span(w).subspan(g * kGroup, kGroup);
        ours += errorOf(part, weight, grids[g], from, to);
        best += exact::leastError(part, weight, low, high);
    }
    return ours / best;
}

double meanOverExact(int low, int high, bool weighted, Effort effort)
{
    constexpr unsigned kTiles = 12;
    double sum = 0;
    for (unsigned seed = 0; seed < kTiles; ++seed)
        sum += overExact(seed, low, high, weighted, effort);
    return sum / kTiles;
}

} // namespace

void TestSearch::comesNearTheExactScale_data()
{
    QTest::addColumn<int>("low");
    QTest::addColumn<int>("high");
    QTest::addColumn<double>("alike");
    QTest::addColumn<double>("weighted");
    QTest::newRow("2 bits") << -2 << 1 << 1.03 << 1.02;
    QTest::newRow("3 bits") << -4 << 3 << 1.01 << 1.01;
    QTest::newRow("4 bits") << -8 << 7 << 1.01 << 1.03;
    QTest::newRow("5 bits") << -16 << 15 << 1.02 << 1.04;
    QTest::newRow("6 bits") << -32 << 31 << 1.06 << 1.11;
}

void TestSearch::comesNearTheExactScale()
{
    QFETCH(int, low);
    QFETCH(int, high);
    QFETCH(double, alike);
    QFETCH(double, weighted);
    const double ratio = meanOverExact(low, high, false, Effort::Best),
                 withWeights = meanOverExact(low, high, true, Effort::Best);
    QVERIFY2(ratio <= alike && ratio > 0.999, qPrintable(QString::number(ratio)));
    QVERIFY2(withWeights <= weighted && withWeights > 0.999, qPrintable(QString::number(withWeights)));
}

void TestSearch::fastIsNotFarBehind()
{
    for (const bool weighted : {false, true}) {
        const double best = meanOverExact(-8, 7, weighted, Effort::Best),
                     fast = meanOverExact(-8, 7, weighted, Effort::Fast);
        QVERIFY2(fast > best && fast < 1.25 * best, qPrintable(QString::number(fast / best)));
    }
}

void TestSearch::comesNearTheBestGrid_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<double>("slack");
    QTest::newRow("2 bits") << 2 << 1.01;
    QTest::newRow("4 bits") << 4 << 1.01;
    QTest::newRow("5 bits") << 5 << 1.02;
}

// Of 60 x 60 ends of the range, inside and outside, the best.
void TestSearch::comesNearTheBestGrid()
{
    QFETCH(int, bits);
    QFETCH(double, slack);
    const auto top = static_cast<float>((1 << bits) - 1);
    const std::vector<float> x = draw(kGroups * kGroup, 1, 0.5f), w = weights(x.size(), 101);
    Tile tile(kGroup, 1);
    const ForEach<Grid> grids = findGrids(loaded(tile, x, w), {0, top}, Effort::Best);
    double ours = 0, best = 0;
    for (std::size_t g = 0; g < kGroups; ++g) {
        const auto part = std::span(x).subspan(g * kGroup, kGroup), weight = std::span(w).subspan(g * kGroup, kGroup);
        const auto [low, high] = std::ranges::minmax(part);
        ours += errorOf(part, weight, grids[g], 0, top);
        double least = HUGE_VAL;
        for (int i = -6; i < 54; ++i)
            for (int j = -6; j < 54; ++j) {
                const float from = low + (high - low) * 0.008f * static_cast<float>(i);
                const float to = high - (high - low) * 0.008f * static_cast<float>(j);
                least = std::min(least, errorOf(part, weight, {(to - from) / top, from}, 0, top));
            }
        best += least;
    }
    QVERIFY2(ours <= slack * best, qPrintable(QString::number(ours / best)));
}

void TestSearch::findsZeroPoints()
{
    double ours = 0, best = 0;
    Tile tile;
    for (unsigned seed = 0; seed < 20; ++seed) {
        const std::vector<float> x = draw(kGroup, seed, 0.7f), w = weights(kGroup, seed + 100);
        const ZeroGrid grid = findZero(tile, x, w, 15, Effort::Best);
        QVERIFY(grid.zero >= 0 && grid.zero <= 15 && grid.scale != 0);
        const auto error = [&](float scale, int zero) {
            return errorOf(x, w, {scale, 0.0f}, static_cast<float>(-zero), static_cast<float>(15 - zero));
        };
        ours += error(grid.scale, grid.zero);
        double least = HUGE_VAL;
        for (int zero = 0; zero <= 15; ++zero)
            for (int i = 1; i <= 500; ++i)
                least = std::min(least, error(largest(x) * 0.3f * static_cast<float>(i) / 500.0f, zero));
        best += least;
    }
    QVERIFY2(ours <= 1.05 * best, qPrintable(QString::number(ours / best)));
}

// A group is the same wherever it lies and whatever lies beside it.
void TestSearch::lanesDoNotDependOnEachOther()
{
    const std::vector<float> x = draw(kGroups * kGroup, 5), w = weights(x.size(), 6);
    Tile tile(kGroup, 1);
    const ForEach<Grid> scales = findScales(loaded(tile, x, w), {-8, 7}, Effort::Best);
    const ForEach<Grid> grids = findGrids(loaded(tile, x, w), {0, 15}, Effort::Best);
    for (std::size_t g = 0; g < kGroups; ++g) {
        const auto part = std::span(x).subspan(g * kGroup, kGroup), weight = std::span(w).subspan(g * kGroup, kGroup);
        QCOMPARE(findScales(loaded(tile, part, weight), {-8, 7}, Effort::Best)[0].scale, scales[g].scale);
        const Grid alone = findGrids(loaded(tile, part, weight), {0, 15}, Effort::Best)[0];
        QVERIFY(alone.scale == grids[g].scale && alone.offset == grids[g].offset);
    }
}

// Of any length, with importance and without; lanes that are left over do not count.
void TestSearch::aGroupMaySpanAllLanes()
{
    Tile tile;
    for (const std::size_t n : {std::size_t {16}, std::size_t {37}, std::size_t {1000}}) {
        const std::vector<float> x = draw(n, 8, 3.0f), w = weights(n, 9), ones(n, 1.0f);
        for (const bool weighted : {false, true}) {
            const std::span<const float> weight = weighted ? w : ones;
            tile.loadWhole(x, weighted ? weight : std::span<const float>());
            const double best = exact::leastError(x, weight, -8, 7);
            const double ours = errorOf(x, weight, findScales(tile, {-8, 7}, Effort::Best)[0], -8, 7);
            QVERIFY2(ours <= 1.05 * best, qPrintable(QString("%1 values: %2").arg(n).arg(ours / best)));
            const Grid grid = findGrids(tile, {0, 15}, Effort::Best)[0];
            const double shifted = errorOf(x, weight, grid, 0, 15); // values about 3 want an offset
            QVERIFY2(shifted < 0.8 * ours, qPrintable(QString("%1 values: %2").arg(n).arg(shifted / ours)));
        }
    }
}

// Powers of two change nothing, as long as scales stay within the range of FP16.
void TestSearch::doesNotDependOnUnits()
{
    const std::vector<float> x = draw(256, 1, 0.2f), w = weights(256, 2);
    std::vector<float> small = x, light = w;
    for (float& v : small)
        v *= 0x1p-4f;
    for (float& v : light)
        v *= 0x1p-90f;
    Tile tile(32, 8), other(32, 8);
    const ForEach<Grid> e = findScales(loaded(tile, x, w), {-8, 7}, Effort::Best);
    const ForEach<Grid> f = findScales(loaded(other, small, light), {-8, 7}, Effort::Best);
    QCOMPARE(f[3].scale, 0x1p-4f * e[3].scale);
    const SharedGrids a = findSharedGrids(loaded(tile, x, w), {0, 15}, {8, 0, 63}, Effort::Best)[0];
    const SharedGrids b = findSharedGrids(loaded(other, small, light), {0, 15}, {8, 0, 63}, Effort::Best)[0];
    QVERIFY(a.scale == b.scale && a.minimum == b.minimum && b.d == 0x1p-4f * a.d && b.dmin == 0x1p-4f * a.dmin);
    Tile groups(16, 16), smaller(16, 16);
    const SharedGrids c = findSharedScales(loaded(groups, x, w), {-32, 31}, {16, -128, 127}, Effort::Best)[0];
    const SharedGrids d = findSharedScales(loaded(smaller, small, light), {-32, 31}, {16, -128, 127}, Effort::Best)[0];
    QVERIFY(c.scale == d.scale && d.d == 0x1p-4f * c.d);
}

// Sharing d among 16 groups costs little against a scale of its own for each: six bits of scale are enough.
void TestSearch::sharesScalesAmongGroups()
{
    double shared = 0, own = 0;
    Tile tile(16, 16);
    for (unsigned seed = 0; seed < 20; ++seed) {
        const std::vector<float> x = draw(256, seed), w = weights(256, seed + 50);
        const SharedGrids set = findSharedScales(loaded(tile, x, w), {-4, 3}, {16, -32, 31}, Effort::Best)[0];
        const ForEach<Grid> scales = findScales(tile, {-4, 3}, Effort::Best);
        for (std::size_t g = 0; g < 16; ++g) {
            const std::span<const float> part(x.data() + 16 * g, 16), weight(w.data() + 16 * g, 16);
            QVERIFY(set.scale[g] >= -32 && set.scale[g] <= 31);
            shared += errorOf(part, weight, {set.d * static_cast<float>(set.scale[g]), 0.0f}, -4, 3);
            own += errorOf(part, weight, scales[g], -4, 3);
        }
    }
    QVERIFY2(shared <= 1.03 * own, qPrintable(QString::number(shared / own)));
    QVERIFY2(shared >= 0.97 * own, qPrintable(QString::number(shared / own)));
}

// Channels that no text has touched have importance 0: whole groups of them, next to others. They count for nothing in
// their block, and have good scales all the same.
void TestSearch::survivesWeightsOfZero()
{
    const std::vector<float> x = draw(256, 3), ones(16, 1.0f);
    std::vector<float> w = weights(256, 4);
    std::fill(w.begin(), w.begin() + 64, 0.0f);
    Tile tile(16, 16);
    const SharedGrids scales = findSharedScales(loaded(tile, x, w), {-32, 31}, {16, -128, 127}, Effort::Best)[0];
    QVERIFY(std::isfinite(scales.d) && scales.d != 0);
    for (std::size_t g = 0; g < 4; ++g) {
        const std::span<const float> part(x.data() + 16 * g, 16);
        const double error = errorOf(part, ones, {scales.d * static_cast<float>(scales.scale[g]), 0.0f}, -32, 31);
        QVERIFY(error < 0.003 * exact::leastError(part, ones, 0, 0)); // of the sum of squares
    }
    Tile halves(32, 8);
    const SharedGrids grids = findSharedGrids(loaded(halves, x, w), {0, 15}, {8, 0, 63}, Effort::Best)[0];
    QVERIFY(std::isfinite(grids.d) && std::isfinite(grids.dmin) && grids.d > 0);
    const std::vector<float> zeros(256, 0.0f);
    halves.load(x, {});
    const ForEach<Grid> alike = findScales(halves, {-8, 7}, Effort::Best);
    QVERIFY(std::abs(findScales(loaded(halves, x, zeros), {-8, 7}, Effort::Best)[0].scale)
            > 0.7f * std::abs(alike[0].scale));
}

// Values within a thousandth of 100: what tells them apart is in the last digits of their sums.
void TestSearch::centresValuesFarFromZero()
{
    std::vector<float> x = draw(kGroup, 7);
    for (float& v : x)
        v = 64.0f + v / 64.0f;
    const std::vector<float> ones(kGroup, 1.0f);
    const auto [low, high] = std::ranges::minmax(x);
    Tile tile(kGroup, 1);
    const Grid grid = findGrids(loaded(tile, x, {}), {0, 255}, Effort::Best)[0];
    QVERIFY(errorOf(x, ones, grid, 0, 255)
            < 1.05 * errorOf(x, ones, {finiteHalf((high - low) / 255), finiteHalf(low)}, 0, 255));
}

// As single numbers do: at every half, in the middle to the next one, and next to both.
void TestSearch::lanesRoundToHalves()
{
    std::vector<float> numbers {HUGE_VALF, 1e30f, 65520.0f, 1e-30f, 0.0f, -0.0f};
    for (std::uint16_t half = 0; half < 0x7C00; ++half) {
        const float at = halfToFloat(half), middle = 0.5f * (at + finiteHalf(halfToFloat(half + 1)));
        for (const float x : {at, middle})
            numbers.insert(numbers.end(), {x, std::nextafter(x, 0.0f), std::nextafter(x, HUGE_VALF)});
    }
    numbers.resize((numbers.size() + kLanes - 1) / kLanes * kLanes);
    for (std::size_t i = 0; i < numbers.size(); i += kLanes) {
        const Floats x = Floats::load(numbers.data() + i), rounded = finiteHalves(x), negative = finiteHalves(-x);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            QCOMPARE(std::bit_cast<std::uint32_t>(rounded[lane]), std::bit_cast<std::uint32_t>(finiteHalf(x[lane])));
            QCOMPARE(negative[lane], -rounded[lane]);
        }
    }
}

QTEST_GUILESS_MAIN(TestSearch)
#include "tst_search.moc"
