// What every block format promises. A new format is tested by being in the catalogue.
#include "core/blockformat.h"
#include "core/stored.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>

using namespace quern;

static void formats(bool (*wanted)(const quern::BlockFormat&) = nullptr);
static bool fixedPoint(const quern::BlockFormat& format);
static bool hasBlocks(const quern::BlockFormat& format);
static bool hasLevels(const quern::BlockFormat& format);
static bool choosesGrids(const quern::BlockFormat& format);

class TestBlockFormats : public QObject {
    Q_OBJECT

private slots:
    void haveUniqueNamesAndIds();
    void findThemselves();
    void keepZeros_data() { formats(); }
    void keepZeros();
    void areStableOnceDecoded_data() { formats(); }
    void areStableOnceDecoded();
    void errorFitsTheirBits_data() { formats(fixedPoint); }
    void errorFitsTheirBits();
    void encodeARowLikeItsBlocks_data() { formats(hasBlocks); }
    void encodeARowLikeItsBlocks();
    void placeOneGroupOnly_data() { formats(); }
    void placeOneGroupOnly();
    void placeTheNearestLevel_data() { formats(hasLevels); }
    void placeTheNearestLevel();
    void stayFinite_data();
    void stayFinite();
    void followImportance_data() { formats(choosesGrids); }
    void followImportance();
    void countTheirBytes();
};

Q_DECLARE_METATYPE(const quern::BlockFormat*)

namespace {

QString name(const BlockFormat& format)
{
    return QString::fromUtf8(format.name.data(), static_cast<int>(format.name.size()));
}

// Values of a block; a row of this many for formats of whole rows.
std::size_t blockOf(const BlockFormat& format)
{
    return format.values > 0 ? static_cast<std::size_t>(format.values) : 416;
}

std::vector<float> normal(std::size_t n, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> draw;
    std::vector<float> x(n);
    for (float& v : x)
        v = draw(random);
    return x;
}

Fit fitFor(std::span<const float> x, std::span<const float> importance = {})
{
    const auto [low, high] = std::ranges::minmax(x);
    return {.importance = importance, .low = low, .high = high};
}

std::vector<std::byte> encoded(const BlockFormat& format, std::span<const float> x, const Fit& fit)
{
    std::vector<std::byte> blocks(format.rowBytes(static_cast<long>(x.size())));
    format.encode(format, x, fit, blocks.data());
    return blocks;
}

std::vector<float> decoded(const BlockFormat& format, const std::vector<std::byte>& blocks, std::size_t n)
{
    std::vector<float> x(n);
    format.decode(format, blocks.data(), x);
    return x;
}

std::vector<float> roundTrip(const BlockFormat& format, std::span<const float> x,
                             std::span<const float> importance = {})
{
    return decoded(format, encoded(format, x, fitFor(x, importance)), x.size());
}

double weightedError(std::span<const float> x, std::span<const float> y, std::span<const float> w = {})
{
    double error = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        error += (w.empty() ? 1.0 : double(w[i])) * std::pow(double(x[i]) - double(y[i]), 2);
    return error;
}

// None, all 0, a single one, every other one, as small and as large as floats may be.
std::vector<std::vector<float>> unusualImportances(std::size_t n)
{
    std::vector<std::vector<float>> all {{}, std::vector<float>(n, 0.0f)};
    all.push_back(all[1]);
    all.back()[n / 2] = 1.0f;
    all.push_back(all[1]);
    for (std::size_t i = 0; i < n; i += 2)
        all.back()[i] = 1.0f;
    all.emplace_back(n, 1e-43f);
    all.emplace_back(n, 3e38f);
    all.push_back(all[4]);
    std::fill_n(all.back().begin(), n / 2, 3e38f);
    return all;
}

double bitsPerWeight(const BlockFormat& format)
{
    const auto n = static_cast<long>(blockOf(format));
    return 8.0 * static_cast<double>(format.rowBytes(n)) / static_cast<double>(n);
}

} // namespace

static void formats(bool (*wanted)(const BlockFormat&))
{
    QTest::addColumn<const BlockFormat*>("format");
    for (const BlockFormat* format : blockFormats())
        if (format->encode && (!wanted || wanted(*format)))
            QTest::newRow(qPrintable(name(*format))) << format;
}

// Floating point spends bits on its range.
static bool fixedPoint(const BlockFormat& format)
{
    return !format.floating();
}

// More than one in a row.
static bool hasBlocks(const BlockFormat& format)
{
    return format.values > 0;
}

// Codes of one value.
static bool hasLevels(const BlockFormat& format)
{
    return !format.floating() && format.group == 1;
}

// Of a whole tensor its range decides.
static bool choosesGrids(const BlockFormat& format)
{
    return !format.floating() && !(format.affine.bits > 0 && format.affine.scope == Scope::Tensor);
}

void TestBlockFormats::haveUniqueNamesAndIds()
{
    std::set<std::string_view> names;
    std::set<std::uint32_t> ids;
    for (const BlockFormat* format : blockFormats()) {
        QVERIFY2(names.insert(format->name).second, qPrintable(name(*format)));
        QVERIFY2(ids.insert(format->id).second, qPrintable(name(*format)));
        QVERIFY2(format->decode, qPrintable(name(*format)));
        QCOMPARE(format->place != nullptr, format->encode != nullptr);
        if (format->carrier)
            QVERIFY2(format->carrier->inGguf() && !format->inGguf(), qPrintable(name(*format)));
    }
}

void TestBlockFormats::findThemselves()
{
    for (const BlockFormat* format : blockFormats()) {
        QCOMPARE(findBlockFormat(format->id), format);
        QCOMPARE(findBlockFormat(name(*format).toLower().toStdString()), format);
        if (format->affine.bits > 0)
            QCOMPARE(findAffineFormat(format->affine, format->values), format);
    }
    QCOMPARE(findBlockFormat("Q4_2"), nullptr);
    QCOMPARE(findBlockFormat(4u), nullptr);
    QCOMPARE(findAffineFormat({.bits = 9}, 128), nullptr);
}

void TestBlockFormats::keepZeros()
{
    QFETCH(const BlockFormat*, format);
    const std::vector<float> zeros(blockOf(*format), 0.0f);
    QCOMPARE(roundTrip(*format, zeros), zeros);
}

// What a format can represent it represents again; a search among common scales need not find the very same ones.
void TestBlockFormats::areStableOnceDecoded()
{
    QFETCH(const BlockFormat*, format);
    double first = 0, second = 0;
    for (unsigned seed = 0; seed < 8; ++seed) {
        const std::vector<float> x = normal(blockOf(*format), 40 + seed);
        const std::vector<float> once = roundTrip(*format, x), twice = roundTrip(*format, once);
        first += weightedError(x, once);
        second += weightedError(once, twice);
    }
    // A rounded zero point can leave the outermost code unused; the second range is then narrower than the first.
    const double share = format->affine.bits > 0 && format->affine.zero == Zero::ZeroPoint ? 1.0 : 0.2;
    QVERIFY2(second <= share * first, qPrintable(QString::number(second / first)));
}

void TestBlockFormats::errorFitsTheirBits()
{
    QFETCH(const BlockFormat*, format);
    double error = 0, power = 0;
    for (unsigned seed = 0; seed < 32; ++seed) {
        const std::vector<float> x = normal(blockOf(*format), seed);
        error += weightedError(x, roundTrip(*format, x));
        power += weightedError(x, std::vector<float>(x.size(), 0.0f));
    }
    // A uniform quantizer gains 6.02 dB a bit of its codes, less what the range of a group costs. None beats the
    // rate-distortion bound of 6.02 dB for every bit there is.
    const double gain = -10 * std::log10(error / power);
    const double bits = format->affine.bits > 0 ? format->affine.bits : bitsPerWeight(*format);
    QVERIFY2(gain >= 6.02 * bits - (format->affine.bits > 0 ? 11.0 : 8.0), qPrintable(QString::number(gain)));
    QVERIFY2(gain <= 6.02 * bitsPerWeight(*format), qPrintable(QString::number(gain)));
}

void TestBlockFormats::encodeARowLikeItsBlocks()
{
    QFETCH(const BlockFormat*, format);
    const std::size_t n = blockOf(*format);
    const std::vector<float> row = normal(3 * n, 4), w = normal(3 * n, 5);
    std::vector<float> importance(w.size());
    std::ranges::transform(w, importance.begin(), [](float v) { return std::exp(v); });
    std::vector<std::byte> joined;
    for (std::size_t b = 0; b < 3; ++b) {
        const std::span<const float> part(row.data() + b * n, n), weights(importance.data() + b * n, n);
        const std::vector<std::byte> block = encoded(*format, part, fitFor(row, weights));
        joined.insert(joined.end(), block.begin(), block.end());
    }
    QVERIFY(encoded(*format, row, fitFor(row, importance)) == joined);
}

void TestBlockFormats::placeOneGroupOnly()
{
    QFETCH(const BlockFormat*, format);
    const std::size_t n = blockOf(*format), group = static_cast<std::size_t>(format->group);
    const std::vector<float> x = normal(n, 2);
    std::vector<std::byte> block = encoded(*format, x, fitFor(x));
    std::vector<float> expected = decoded(*format, block, n);
    for (std::size_t first = 0; first < n; first += group) {
        std::vector<float> placed(group);
        for (std::size_t k = 0; k < group; ++k)
            placed[k] = -0.6f * expected[first + k] + 0.1f;
        format->place(*format, block.data(), static_cast<int>(first), placed);
        std::ranges::copy(placed, expected.begin() + static_cast<long>(first));
        if (decoded(*format, block, n) != expected)
            QFAIL(qPrintable(QString("placing value %1 changed another, or returned what it is not").arg(first)));
    }
}

void TestBlockFormats::placeTheNearestLevel()
{
    QFETCH(const BlockFormat*, format);
    const std::size_t n = blockOf(*format);
    const std::vector<float> x = normal(n, 3);
    std::vector<std::byte> block = encoded(*format, x, fitFor(x));
    const int first = static_cast<int>(n) - 3;
    const std::vector<float> all = levels(*format, block, first);
    QVERIFY(all.size() >= 2 && all.size() <= 256);
    QVERIFY(std::ranges::is_sorted(all, std::less_equal<> {}));
    for (const float target : normal(200, 6)) {
        float placed = target;
        format->place(*format, block.data(), first, {&placed, 1});
        float nearest = all.front();
        for (const float level : all)
            nearest = std::abs(level - target) < std::abs(nearest - target) ? level : nearest;
        QVERIFY2(std::abs(std::abs(placed - target) - std::abs(nearest - target)) <= 1e-5f,
                 qPrintable(QString("%1 became %2, not %3").arg(target).arg(placed).arg(nearest)));
    }
}

void TestBlockFormats::stayFinite_data()
{
    QTest::addColumn<const BlockFormat*>("format");
    QTest::addColumn<QString>("values");
    for (const BlockFormat* format : blockFormats())
        if (format->encode && !format->floating())
            for (const char* values :
                 {"constant", "negative constant", "one outlier", "denormal", "huge", "tiny and huge"})
                QTest::newRow(qPrintable(name(*format) + ' ' + values)) << format << QString(values);
}

void TestBlockFormats::stayFinite()
{
    QFETCH(const BlockFormat*, format);
    QFETCH(QString, values);
    std::vector<float> x = normal(blockOf(*format), 8);
    const std::size_t middle = x.size() / 2;
    if (values == "constant")
        std::ranges::fill(x, 0.7f);
    if (values == "negative constant")
        std::ranges::fill(x, -0.7f);
    if (values == "one outlier")
        x[middle] = 1000.0f;
    for (float& v : x)
        v *= values == "denormal" ? 1e-40f : values == "huge" ? 6e37f : 1.0f;
    if (values == "tiny and huge")
        for (std::size_t i = 0; i < x.size(); i += 2)
            x[i] *= 1e30f;
    const std::vector<float> y = roundTrip(*format, x);
    for (const float v : y)
        QVERIFY(std::isfinite(v));
    for (const std::vector<float>& importance : unusualImportances(x.size()))
        for (const Effort effort : {Effort::Fast, Effort::Best}) {
            Fit fit = fitFor(x, importance);
            fit.effort = effort;
            QVERIFY(std::ranges::all_of(decoded(*format, encoded(*format, x, fit), x.size()),
                                        [](float v) { return std::isfinite(v); }));
        }
    if (values.contains("constant"))
        QVERIFY2(weightedError(x, y) <= 0.02 * weightedError(x, std::vector<float>(x.size())),
                 qPrintable(QString::number(y[0])));
    // Codebooks hold no zero beside their largest value: what the outlier gains the others lose.
    if (values == "one outlier" && format->name != "Q1_0") // whose values all have the same magnitude
        QVERIFY2(std::abs(y[middle] - 1000.0f) < (format->group > 1 ? 600.0f : 260.0f),
                 qPrintable(QString::number(y[middle])));
}

void TestBlockFormats::followImportance()
{
    QFETCH(const BlockFormat*, format);
    double plain = 0, weighted = 0, weightedPlainly = 0, plainByWeight = 0;
    for (unsigned seed = 0; seed < 16; ++seed) {
        const std::vector<float> x = normal(blockOf(*format), 20 + seed);
        std::vector<float> w = normal(x.size(), 50 + seed);
        for (float& v : w)
            v = std::exp(2.0f * v);
        const std::vector<float> without = roundTrip(*format, x), with = roundTrip(*format, x, w);
        plain += weightedError(x, without, w);
        weighted += weightedError(x, with, w);
        plainByWeight += weightedError(x, with);
        weightedPlainly += weightedError(x, without);
    }
    QVERIFY2(weighted <= plain, qPrintable(QString("%1 > %2").arg(weighted).arg(plain)));
    // With more bits there is nothing to be gained, and little with powers of two for scales.
    if (bitsPerWeight(*format) < 7.0 && format->name != "MXFP4")
        QVERIFY2(weighted < 0.98 * plain, qPrintable(QString("%1 of %2").arg(weighted).arg(plain)));
    const std::vector<float> x = normal(blockOf(*format), 7), none(x.size(), 0.0f);
    QCOMPARE(roundTrip(*format, x, none), roundTrip(*format, x, std::vector<float>(x.size(), 1.0f)));
}

void TestBlockFormats::countTheirBytes()
{
    QCOMPARE(findBlockFormat("Q4_K")->rowBytes(1024), std::size_t(576));
    QCOMPARE(findBlockFormat("Q6_K")->methodBytes(3, 512), std::uint64_t(1260));
    QVERIFY(findBlockFormat("Q4_0")->fits(96) && !findBlockFormat("Q4_0")->fits(100));
}

QTEST_GUILESS_MAIN(TestBlockFormats)
#include "tst_blockformats.moc"
