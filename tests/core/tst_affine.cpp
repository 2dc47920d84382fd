// Linear quantization: the textbook's numbers, the layout of our blocks, their carriers, their levels.
#include "core/affine.h"
#include "tests/judge/ggml.h"

#include <QTest>

#include <cmath>
#include <random>

using namespace quern;

static void formats(bool all);

class TestAffine : public QObject {
    Q_OBJECT

private slots:
    void quantizesTheWorkedExample();
    void storesTheWorkedExample();
    void extendsRangesToZero();
    void hitsTheExtremeExactly();
    void packsFromTheLowestBit();
    void packsAndUnpacks();
    void staysWithinHalfAStep_data() { formats(true); }
    void staysWithinHalfAStep();
    void carriesExactly_data() { formats(true); }
    void carriesExactly();
    void fallsBackToF16();
    void sharesTheTensorsGrid();
    void countsBytes();
    void knowsItsLevels_data() { formats(false); }
    void knowsItsLevels();
    void knowsLevelsOfOtherFormats();
    void readsOddRows();
};

Q_DECLARE_METATYPE(const quern::BlockFormat*)

namespace {

const BlockFormat& named(const char* name)
{
    return *findBlockFormat(std::string_view(name));
}

std::vector<float> normal(std::size_t n, unsigned seed, float mean = 0.0f)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> draw(mean);
    std::vector<float> x(n);
    for (float& v : x)
        v = draw(random);
    return x;
}

Fit fitFor(std::span<const float> x)
{
    const auto [low, high] = std::ranges::minmax(x);
    return {.low = low, .high = high};
}

std::vector<std::byte> encoded(const BlockFormat& format, std::span<const float> x)
{
    std::vector<std::byte> blocks(format.rowBytes(static_cast<long>(x.size())));
    format.encode(format, x, fitFor(x), blocks.data());
    return blocks;
}

std::vector<float> decoded(const BlockFormat& format, std::span<const std::byte> blocks, std::size_t n)
{
    std::vector<float> x(n);
    format.decode(format, blocks.data(), x);
    return x;
}

const std::vector<float> kExample {-24.43f, -17.4f, 1.2345f, 12.654f};
constexpr Affine kInt8 {.bits = 8, .zero = Zero::ZeroPoint};

} // namespace

static void formats(bool all)
{
    QTest::addColumn<const BlockFormat*>("format");
    for (const BlockFormat* format : blockFormats())
        if (format->affine.bits > 0 && (all || format->affine.scope == Scope::Block))
            QTest::newRow(std::string(format->name).c_str()) << format;
}

// docs/methods.md, "Linear quantization".
void TestAffine::quantizesTheWorkedExample()
{
    const AffineGrid grid = affineGrid(kInt8, -24.43f, 12.654f, Precision::Float);
    QVERIFY(std::abs(1.0f / grid.scale - 6.8763f) < 5e-5f);
    const int lowest = -128; // codes count from 0; as signed int8 from here
    QCOMPARE(grid.zero + lowest, 40);
    std::vector<int> codes;
    codes.reserve(kExample.size());
    for (const float w : kExample)
        codes.push_back(grid.code(w) + lowest);
    QCOMPARE(codes, (std::vector<int> {-128, -80, 48, 127}));
    for (const float w : kExample)
        QVERIFY(std::abs(grid.value(grid.code(w)) - w) <= 0.5f * grid.scale + 1e-5f);
}

void TestAffine::storesTheWorkedExample()
{
    std::vector<float> row = kExample;
    row.resize(16, 0.0f);
    const std::vector<std::byte> block = encoded(named("INT8_G16_ZP"), row);
    QCOMPARE(block.size(), std::size_t(19));
    QCOMPARE(std::to_integer<int>(block[2]) - 128, 40);
    const int expected[4] {-128, -80, 48, 127};
    for (std::size_t i = 0; i < 4; ++i)
        QCOMPARE(std::to_integer<int>(block[3 + i]) - 128, expected[i]);
    QCOMPARE(decoded(named("INT8_G16_ZP"), block, 16)[15], 0.0f);
}

void TestAffine::extendsRangesToZero()
{
    const AffineGrid above = affineGrid(kInt8, 2.0f, 10.2f, Precision::Float);
    QCOMPARE(above.zero, 0);
    QCOMPARE(above.value(255), 10.2f);
    const AffineGrid below = affineGrid(kInt8, -10.2f, -2.0f, Precision::Float);
    QCOMPARE(below.zero, 255);
    QCOMPARE(below.value(0), -10.2f);
    const AffineGrid minimum = affineGrid({.bits = 8, .zero = Zero::Minimum}, 2.0f, 10.2f, Precision::Float);
    QCOMPARE(minimum.value(0), 2.0f);
    QCOMPARE(minimum.value(255), 10.2f);
}

void TestAffine::hitsTheExtremeExactly()
{
    const Affine int4 {.bits = 4};
    for (const float sign : {1.0f, -1.0f}) {
        const AffineGrid grid = sign > 0 ? affineGrid(int4, -3.0f, 4.0f, Precision::Half)
                                         : affineGrid(int4, -4.0f, 3.0f, Precision::Half);
        QCOMPARE(grid.scale, -sign * 0.5f);
        QCOMPARE(grid.code(sign * 4.0f), 0);
        QCOMPARE(grid.value(0), sign * 4.0f);
        QCOMPARE(grid.value(15), sign * -3.5f);
        QCOMPARE(grid.value(grid.code(0.0f)), 0.0f);
    }
}

void TestAffine::packsFromTheLowestBit()
{
    // Codes 1 2 3 4 5 6 7 0 of three bits, the first in the lowest: 000 111 110 101 100 011 010 001.
    QCOMPARE(packed<3>(0x0007060504030201u), std::uint64_t(0b000'111'110'101'100'011'010'001));
    std::vector<float> row(16);
    for (std::size_t i = 0; i < 16; ++i)
        row[i] = static_cast<float>((i + 1) % 8) - 4.0f;
    const std::vector<std::byte> block = encoded(named("INT3_G16_SYM"), row);
    QCOMPARE(std::to_integer<int>(block[2]), 0b11'010'001);
    QCOMPARE(std::to_integer<int>(block[3]), 0b0'101'100'0);
    QCOMPARE(std::to_integer<int>(block[4]), 0b000'111'11);
}

void TestAffine::packsAndUnpacks()
{
    std::mt19937_64 random(1);
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t bytes = random();
        const auto through = [&](auto bits) {
            constexpr int kBits = decltype(bits)::value;
            const std::uint64_t codes = bytes & 0x0101010101010101u * ((1u << kBits) - 1);
            const std::uint64_t word = packed<kBits>(codes);
            return unpacked<kBits>(word) == codes && (kBits == 8 || word >> (8 * kBits) % 64 == 0);
        };
        QVERIFY(through(std::integral_constant<int, 2>()) && through(std::integral_constant<int, 3>()));
        QVERIFY(through(std::integral_constant<int, 4>()) && through(std::integral_constant<int, 5>()));
        QVERIFY(through(std::integral_constant<int, 6>()) && through(std::integral_constant<int, 7>()));
        QVERIFY(through(std::integral_constant<int, 8>()));
    }
}

void TestAffine::staysWithinHalfAStep()
{
    QFETCH(const BlockFormat*, format);
    const std::vector<float> x = normal(512, 3, 0.4f);
    const std::vector<std::byte> blocks = encoded(*format, x);
    const std::vector<float> y = decoded(*format, blocks, x.size());
    const int n = format->values > 0 ? format->values : 512;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const std::byte* block
            = blocks.data() + i / static_cast<std::size_t>(n) * static_cast<std::size_t>(format->bytes);
        std::uint16_t half = 0;
        std::memcpy(&half, block, 2);
        const float step = std::abs(halfToFloat(half));
        // One end of a symmetric grid, and either end of one with a rounded zero point, lies up to a step inside the
        // range; rounding to FP16 moves ends by 2^-11 of the range.
        const float margin = format->affine.zero == Zero::Minimum ? 0.5f : 1.0f;
        QVERIFY2(std::abs(x[i] - y[i]) <= margin * step + 0.005f,
                 qPrintable(QString("%1 %2 %3").arg(x[i]).arg(y[i]).arg(step)));
    }
}

void TestAffine::carriesExactly()
{
    QFETCH(const BlockFormat*, format);
    QVERIFY(format->carrier);
    const bool grid32 = format->values % 32 == 0, plus = format->affine.zero == Zero::Minimum;
    const bool possible = grid32 && format->affine.zero != Zero::ZeroPoint && (!plus || format->affine.bits <= 5);
    QCOMPARE(format->carry != nullptr, possible);
    if (!possible) {
        QCOMPARE(format->carrier, findBlockFormat("F16"));
        return;
    }
    std::vector<float> x = normal(768, 9, 0.3f);
    std::fill(x.begin() + 256, x.begin() + 512, 0.0f); // groups of zeros, whose scale is 0
    x[700] = -x[700];
    const std::vector<std::byte> blocks = encoded(*format, x);
    std::vector<std::byte> carried(format->carrier->rowBytes(768));
    format->carry(*format, blocks.data(), 768, carried.data());
    const std::vector<float> ours = decoded(*format, blocks, 768), theirs = decoded(*format->carrier, carried, 768);
    for (std::size_t i = 0; i < 768; ++i)
        QCOMPARE(std::bit_cast<std::uint32_t>(theirs[i]), std::bit_cast<std::uint32_t>(ours[i]));
    const judge::Ggml& ggml = judge::Ggml::instance();
    if (!ggml.available())
        QSKIP(ggml.reason().c_str());
    const int id = static_cast<int>(format->carrier->id);
    QVERIFY(ggml.validate(id, carried));
    const std::vector<float> judged = ggml.decode(id, carried, 768);
    for (std::size_t i = 0; i < 768; ++i)
        QCOMPARE(std::bit_cast<std::uint32_t>(judged[i]), std::bit_cast<std::uint32_t>(ours[i]));
}

void TestAffine::fallsBackToF16()
{
    QCOMPARE(&storedAs(named("INT4_ROW_SYM"), 4096), &named("Q4_0"));
    QCOMPARE(&storedAs(named("INT4_ROW_SYM"), 4100), &named("F16"));
    QCOMPARE(&storedAs(named("INT5_TENSOR_MIN"), 64), &named("Q5_1"));
    QCOMPARE(&storedAs(named("INT6_G64_SYM"), 64), &named("Q8_0"));
    QCOMPARE(&storedAs(named("INT4_G16_SYM"), 64), &named("F16"));
    QCOMPARE(&storedAs(named("INT4_G128_ZP"), 128), &named("F16"));
    QCOMPARE(&storedAs(named("Q6_K"), 256), &named("Q6_K"));
}

void TestAffine::sharesTheTensorsGrid()
{
    const std::vector<float> row = normal(64, 1);
    std::vector<std::byte> blocks(named("INT8_TENSOR_ZP").rowBytes(64));
    const Fit fit {.low = -10.0f, .high = 30.0f};
    named("INT8_TENSOR_ZP").encode(named("INT8_TENSOR_ZP"), row, fit, blocks.data());
    const AffineGrid grid = affineGrid(kInt8, -10.0f, 30.0f, Precision::Half);
    const std::vector<float> y = decoded(named("INT8_TENSOR_ZP"), blocks, 64);
    for (std::size_t i = 0; i < 64; ++i)
        QCOMPARE(y[i], grid.value(grid.code(row[i])));
}

void TestAffine::countsBytes()
{
    QCOMPARE(named("INT4_G128_SYM").rowBytes(256), std::size_t(2 * (2 + 64)));
    QCOMPARE(named("INT4_G128_MIN").rowBytes(256), std::size_t(2 * (4 + 64)));
    QCOMPARE(named("INT3_G16_ZP").rowBytes(32), std::size_t(2 * (3 + 6)));
    QCOMPARE(named("INT5_ROW_SYM").rowBytes(13), std::size_t(2 + 9));
    QCOMPARE(named("INT8_TENSOR_MIN").methodBytes(10, 100), std::uint64_t(4 + 1000));
    QCOMPARE(named("INT8_ROW_MIN").methodBytes(10, 100), std::uint64_t(1040));
    QCOMPARE(findAffineFormat({.bits = 4, .zero = Zero::Symmetric, .scope = Scope::Block}, 128),
             &named("INT4_G128_SYM"));
    QCOMPARE(findAffineFormat({.bits = 3, .zero = Zero::ZeroPoint, .scope = Scope::Tensor}, 0),
             &named("INT3_TENSOR_ZP"));
}

void TestAffine::knowsItsLevels()
{
    QFETCH(const BlockFormat*, format);
    const std::vector<float> x = normal(static_cast<std::size_t>(format->values), 5);
    const std::vector<std::byte> block = encoded(*format, x);
    const auto [low, high] = std::ranges::minmax(x);
    const AffineGrid grid = affineGrid(format->affine, low, high, Precision::Half);
    const std::vector<float> found = levels(*format, block, format->values - 1);
    QCOMPARE(found.size(), std::size_t(1) << format->affine.bits);
    for (std::size_t k = 0; k < found.size(); ++k) {
        const auto up = static_cast<int>(k);
        QCOMPARE(found[k], grid.value(grid.scale > 0.0f ? up : grid.top - up));
    }
}

void TestAffine::knowsLevelsOfOtherFormats()
{
    const std::vector<float> x = normal(256, 5);
    const auto levelsOf = [&](const char* name) {
        const BlockFormat& format = named(name);
        return levels(format, encoded(format, std::span(x).first(static_cast<std::size_t>(format.values))), 0);
    };
    QCOMPARE(levelsOf("Q4_0").size(), std::size_t(16));
    QCOMPARE(levelsOf("Q2_K").size(), std::size_t(4));
    QCOMPARE(levelsOf("Q3_K").size(), std::size_t(8));
    QCOMPARE(levelsOf("Q4_K").size(), std::size_t(16));
    QCOMPARE(levelsOf("Q6_K").size(), std::size_t(64));
    QCOMPARE(levelsOf("Q8_0").size(), std::size_t(256));
    QVERIFY(levelsOf("F16").empty());
    const std::vector<float> table = levelsOf("IQ4_NL");
    QCOMPARE(table.size(), std::size_t(16));
    // Ends of the table and the step in its middle, in whatever direction the scale runs.
    const float unit = (table.back() - table.front()) / 240.0f;
    QVERIFY(std::abs(std::max(-table.front(), table.back()) - 127 * unit) < 1e-3f * unit * 127);
    std::vector<std::byte> zeros(18, std::byte {0});
    QCOMPARE(levels(named("Q4_0"), zeros, 0), std::vector<float> {0.0f});
}

void TestAffine::readsOddRows()
{
    for (const BlockFormat* format : blockFormats()) {
        if (format->affine.bits == 0 || format->affine.scope == Scope::Block)
            continue;
        for (const std::size_t cols : {1u, 3u, 13u, 255u, 257u, 517u}) {
            const std::vector<float> x = normal(cols, 2);
            std::vector<std::byte> row = encoded(*format, x); // of exactly rowBytes, so that sanitizers see overruns
            const std::vector<float> y = decoded(*format, row, cols);
            float last = y.back() * 0.5f;
            format->place(*format, row.data(), static_cast<int>(cols) - 1, {&last, 1});
            std::vector<float> expected = y;
            expected.back() = last;
            QCOMPARE(decoded(*format, row, cols), expected);
        }
    }
}

QTEST_GUILESS_MAIN(TestAffine)
#include "tst_affine.moc"
