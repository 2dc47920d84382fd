// Decoders against ggml's own, bit by bit, on blocks of random bytes.
#include "core/blockformat.h"
#include "core/stored.h"
#include "tests/judge/ggml.h"

#include <QTest>

#include <bit>
#include <cmath>
#include <random>

using namespace quern;

class TestDecoders : public QObject {
    Q_OBJECT

private slots:
    void knowsEveryTypeOfGgml();
    void decodesLikeGgml_data();
    void decodesLikeGgml();
    void decodesTypesThatGgmlOnlyNames();
    void readsFloatsOfEightBits_data();
    void readsFloatsOfEightBits();
    void readsIntegers();
    void convertsHalfsLikeTheProcessor();
    void roundsToHalfs_data();
    void roundsToHalfs();
    void roundsToUpperHalves();
};

namespace {

const judge::Ggml& ggml()
{
    return judge::Ggml::instance();
}

bool same(float a, float b)
{
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

std::vector<float> decodedBy(const BlockFormat& format, const std::vector<std::byte>& bytes, std::size_t values)
{
    std::vector<float> x(values);
    format.decode(format, bytes.data(), x);
    return x;
}

std::vector<std::byte> randomBytes(std::size_t n, unsigned seed)
{
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(n);
    for (std::byte& b : bytes)
        b = static_cast<std::byte>(random() >> 24);
    return bytes;
}

QString name(const BlockFormat& format)
{
    return QString::fromUtf8(format.name.data(), static_cast<int>(format.name.size()));
}

std::uint16_t halfAt(const std::vector<std::byte>& bytes, std::size_t i)
{
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    return bits;
}

} // namespace

void TestDecoders::knowsEveryTypeOfGgml()
{
    if (!ggml().available())
        QSKIP(ggml().reason().c_str());
    std::size_t known = 0;
    for (const BlockFormat* format : blockFormats())
        known += format->inGguf() ? 1 : 0;
    QCOMPARE(known, ggml().types().size());
    for (const judge::Type& type : ggml().types()) {
        const BlockFormat* format = findBlockFormat(static_cast<std::uint32_t>(type.id));
        QVERIFY2(format, type.name.c_str());
        QCOMPARE(name(*format).toLower(), QString::fromStdString(type.name).toLower());
        QCOMPARE(std::int64_t(format->values), type.block);
        QCOMPARE(std::size_t(format->bytes), type.bytes);
    }
}

void TestDecoders::decodesLikeGgml_data()
{
    QTest::addColumn<int>("id");
    for (const BlockFormat* format : blockFormats())
        if (const judge::Type* type = ggml().find(static_cast<int>(format->id)); format->inGguf())
            if (!type || type->decodable) // for the others decodesTypesThatGgmlOnlyNames and readsIntegers
                QTest::newRow(qPrintable(name(*format))) << static_cast<int>(format->id);
}

void TestDecoders::decodesLikeGgml()
{
    if (!ggml().available())
        QSKIP(ggml().reason().c_str());
    QFETCH(int, id);
    QVERIFY2(ggml().find(id), "ggml has no such type");
    const BlockFormat& format = *findBlockFormat(static_cast<std::uint32_t>(id));
    const std::size_t blocks = format.values == 1 ? 200'003 : 4096;
    const std::size_t values = blocks * static_cast<std::size_t>(format.values);
    // Ours from an odd address, as blocks may lie anywhere in a mapped file.
    const auto bytes = randomBytes(blocks * static_cast<std::size_t>(format.bytes) + 1, 7u + static_cast<unsigned>(id));
    const std::vector<std::byte> aligned(bytes.begin() + 1, bytes.end());
    const std::vector<float> theirs = ggml().decode(id, aligned, static_cast<std::int64_t>(values));
    std::vector<float> ours(values);
    format.decode(format, bytes.data() + 1, ours);
    std::size_t finite = 0;
    for (std::size_t i = 0; i < values; ++i) {
        if (!same(ours[i], theirs[i]))
            QFAIL(qPrintable(QString("value %1: %2, ggml %3").arg(i).arg(ours[i]).arg(theirs[i])));
        finite += std::isfinite(ours[i]) ? 1 : 0;
    }
    QVERIFY(finite > values / 2);
}

void TestDecoders::decodesTypesThatGgmlOnlyNames()
{
    std::vector<std::byte> bytes = randomBytes(292, 1);
    const float d = 0.5f;
    std::memcpy(bytes.data(), &d, 4);
    const std::vector<float> x = decodedBy(*findBlockFormat("Q8_K"), bytes, 256);
    for (std::size_t i = 0; i < 256; ++i)
        QCOMPARE(x[i], 0.5f * static_cast<float>(static_cast<std::int8_t>(bytes[4 + i])));
    const std::uint16_t half = floatToHalf(d);
    std::memcpy(bytes.data(), &half, 2);
    const std::vector<float> y = decodedBy(*findBlockFormat("Q8_1"), bytes, 32);
    for (std::size_t i = 0; i < 32; ++i)
        QCOMPARE(y[i], 0.5f * static_cast<float>(static_cast<std::int8_t>(bytes[4 + i])));
}

void TestDecoders::readsFloatsOfEightBits_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("byte");
    QTest::addColumn<float>("value");
    // OCP 8-bit Floating Point Specification 1.0, tables 1 and 2.
    QTest::newRow("E4M3 largest") << "F8_E4M3" << 0x7E << 448.0f;
    QTest::newRow("E4M3 smallest normal") << "F8_E4M3" << 0x08 << 0x1p-6f;
    QTest::newRow("E4M3 largest subnormal") << "F8_E4M3" << 0x07 << 0.875f * 0x1p-6f;
    QTest::newRow("E4M3 smallest subnormal") << "F8_E4M3" << 0x81 << -0x1p-9f;
    QTest::newRow("E4M3 one") << "F8_E4M3" << 0x38 << 1.0f;
    QTest::newRow("E4M3 has no infinity") << "F8_E4M3" << 0x78 << 256.0f;
    QTest::newRow("E4M3 not a number") << "F8_E4M3" << 0xFF << std::nanf("");
    QTest::newRow("E5M2 largest") << "F8_E5M2" << 0x7B << 57344.0f;
    QTest::newRow("E5M2 smallest normal") << "F8_E5M2" << 0x04 << 0x1p-14f;
    QTest::newRow("E5M2 smallest subnormal") << "F8_E5M2" << 0x81 << -0x1p-16f;
    QTest::newRow("E5M2 infinity") << "F8_E5M2" << 0xFC << -HUGE_VALF;
    QTest::newRow("E5M2 not a number") << "F8_E5M2" << 0x7D << std::nanf("");
}

void TestDecoders::readsFloatsOfEightBits()
{
    QFETCH(QString, format);
    QFETCH(int, byte);
    QFETCH(float, value);
    const BlockFormat& f = *findBlockFormat(format.toStdString());
    QVERIFY(same(decodedBy(f, {static_cast<std::byte>(byte)}, 1)[0], value));
    QCOMPARE(f.carrier, findBlockFormat("F16"));
    QVERIFY(f.floating());
}

void TestDecoders::readsIntegers()
{
    const std::vector<std::byte> bytes(8, std::byte {0xFE});
    const auto first = [&](const char* format) { return decodedBy(*findBlockFormat(format), bytes, 1)[0]; };
    QCOMPARE(first("I8"), -2.0f);
    QCOMPARE(first("U8"), 254.0f);
    QCOMPARE(first("I16"), -258.0f);
    QCOMPARE(first("U16"), 65278.0f);
    QCOMPARE(first("I32"), static_cast<float>(-16843010));
    QCOMPARE(first("U32"), static_cast<float>(4278124286u));
    QCOMPARE(first("I64"), static_cast<float>(-72340172838076674));
    QCOMPARE(first("U64"), static_cast<float>(18374403900871474942u));
    QCOMPARE(first("BOOL"), 1.0f);
}

// Rows go through the processor's own conversion where it has one, odd ends and scales through the portable one.
void TestDecoders::convertsHalfsLikeTheProcessor()
{
    const BlockFormat& format = *findBlockFormat("F16");
    std::vector<std::byte> patterns(65536 * 2);
    for (std::size_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        std::memcpy(patterns.data() + 2 * i, &bits, 2);
    }
    const std::vector<float> rows = decodedBy(format, patterns, 65536);
    std::vector<std::byte> back(patterns.size());
    format.encode(format, rows, {}, back.data());
    for (std::size_t i = 0; i < 65536; ++i) {
        const auto half = static_cast<std::uint16_t>(i);
        QCOMPARE(std::bit_cast<std::uint32_t>(halfToFloat(half)), std::bit_cast<std::uint32_t>(rows[i]));
        const bool signalling = (i & 0x7FFF) > 0x7C00 && (i & 0x200) == 0;
        QCOMPARE(halfAt(back, i), static_cast<std::uint16_t>(signalling ? i | 0x200 : i));
        QCOMPARE(floatToHalf(rows[i]), halfAt(back, i));
    }
    std::mt19937 random(3);
    std::vector<float> x(1 << 20);
    for (float& v : x)
        v = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    std::vector<std::byte> encoded(2 * x.size());
    format.encode(format, x, {}, encoded.data());
    for (std::size_t i = 0; i < x.size(); ++i)
        QCOMPARE(floatToHalf(x[i]), halfAt(encoded, i));
}

void TestDecoders::roundsToHalfs_data()
{
    QTest::addColumn<float>("x");
    QTest::addColumn<int>("bits");
    QTest::newRow("largest") << 65504.0f << 0x7BFF;
    QTest::newRow("just below infinity") << 65519.996f << 0x7BFF;
    QTest::newRow("infinity") << 65520.0f << 0x7C00;
    QTest::newRow("smallest normal") << 0x1p-14f << 0x0400;
    QTest::newRow("smallest subnormal") << 0x1p-24f << 0x0001;
    QTest::newRow("tie to even zero") << 0x1p-25f << 0x0000;
    QTest::newRow("above the tie") << 0x1.000002p-25f << 0x0001;
    QTest::newRow("negative subnormal") << -0x1.8p-23f << 0x8003;
    QTest::newRow("tie to even, down") << 1.0f + 0x1p-11f << 0x3C00;
    QTest::newRow("tie to even, up") << 1.0f + 0x1.8p-10f << 0x3C02;
    QTest::newRow("denormal float") << 0x1p-140f << 0x0000;
}

void TestDecoders::roundsToHalfs()
{
    QFETCH(float, x);
    QFETCH(int, bits);
    QCOMPARE(int(floatToHalf(x)), bits);
}

void TestDecoders::roundsToUpperHalves()
{
    const BlockFormat& format = *findBlockFormat("BF16");
    const std::vector<float> x {1.0f,          1.0f + 0x1p-8f, 1.0f + 0x1.8p-7f,
                                3.4028235e38f, -0x1p-130f,     std::bit_cast<float>(0x7F800001u)};
    const std::vector<std::uint16_t> expected {0x3F80, 0x3F80, 0x3F82, 0x7F80, 0x8008, 0x7FC0};
    std::vector<std::byte> bytes(2 * x.size());
    format.encode(format, x, {}, bytes.data());
    for (std::size_t i = 0; i < x.size(); ++i)
        QCOMPARE(halfAt(bytes, i), expected[i]);
}

QTEST_GUILESS_MAIN(TestDecoders)
#include "tst_decoders.moc"
