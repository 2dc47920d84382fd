// Searches of codebooks and of scales against exhaustive ones.
#include "core/halves.h"

#include <QTest>

#include <cmath>
#include <limits>
#include <random>

using namespace quern;

static void formats(bool (*wanted)(const BlockFormat&));
static bool hasVectors(const BlockFormat& format);
static bool isTernary(const BlockFormat& format);

class TestCodebooks : public QObject {
    Q_OBJECT

private slots:
    void shortlistsHoldTheBest();
    void fullListsLoseNothing();
    void halvesFindTheBest();
    void placeTheNearest_data() { formats(hasVectors); }
    void placeTheNearest();
    void encodeWhatTheyWouldPlace_data() { formats(hasVectors); }
    void encodeWhatTheyWouldPlace();
    void roundScalesTogether_data() { formats(hasVectors); }
    void roundScalesTogether();
    void findTernaryScales_data() { formats(isTernary); }
    void findTernaryScales();
    void findPowersOfTwo();
};

Q_DECLARE_METATYPE(const quern::BlockFormat*)

namespace {

constexpr std::array<std::uint16_t, 64> kPacked = [] { // every seventh of 3^8 points, two bits a digit
    std::array<std::uint16_t, 64> packed {};
    for (unsigned e = 0; e < packed.size(); ++e)
        for (unsigned k = 0, number = 7 * e + 1 + 97 * e; k < 8; ++k, number /= 3)
            packed[e] = static_cast<std::uint16_t>(packed[e] | number % 3 << (2 * k));
    return packed;
}();

class Draw {
public:
    explicit Draw(unsigned seed)
        : m_random(seed)
    {
    }
    std::vector<float> normal(std::size_t n)
    {
        std::vector<float> x(n);
        for (float& v : x)
            v = m_normal(m_random);
        return x;
    }
    std::vector<float> weights(std::size_t n)
    {
        std::vector<float> w = normal(n);
        for (float& v : w)
            v = std::exp(1.5f * v);
        return w;
    }

private:
    std::mt19937 m_random;
    std::normal_distribution<float> m_normal;
};

std::vector<float> scalesWithin(const ScaleBounds& bounds, float ratio)
{
    std::vector<float> scales {bounds.low};
    while (scales.back() * ratio <= bounds.high)
        scales.push_back(scales.back() * ratio);
    return scales;
}

double squares(std::span<const float> x, std::span<const float> y, std::span<const float> w = {})
{
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum += (w.empty() ? 1.0 : double(w[i])) * std::pow(double(x[i]) - double(y[i]), 2);
    return sum;
}

std::vector<float> decoded(const BlockFormat& format, const std::vector<std::byte>& block)
{
    std::vector<float> x(static_cast<std::size_t>(format.values));
    format.decode(format, block.data(), x);
    return x;
}

std::vector<std::byte> encoded(const BlockFormat& format, std::span<const float> x, std::span<const float> w = {})
{
    std::vector<std::byte> block(static_cast<std::size_t>(format.bytes));
    format.encode(format, x, {.importance = w}, block.data());
    return block;
}

float leastHeight(const Moments& moments, float scale)
{
    float least = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < moments.p.size(); ++i)
        least = std::min(least, scale * moments.q[i] - 2.0f * moments.p[i]);
    return least;
}

float leastHeight(const Shortlist& list, float scale)
{
    const auto n = static_cast<std::size_t>(list.count);
    return leastHeight({std::span(list.p).first(n), std::span(list.q).first(n)}, scale);
}

} // namespace

static void formats(bool (*wanted)(const BlockFormat&))
{
    QTest::addColumn<const BlockFormat*>("format");
    for (const BlockFormat* format : blockFormats())
        if (format->encode && wanted(*format))
            QTest::newRow(std::string(format->name).c_str()) << format;
}

static bool hasVectors(const BlockFormat& format)
{
    return format.group > 1;
}

static bool isTernary(const BlockFormat& format)
{
    return format.name.starts_with("TQ");
}

void TestCodebooks::shortlistsHoldTheBest()
{
    Draw draw(1);
    for (int round = 0; round < 200; ++round) {
        const std::vector<float> p = draw.normal(256), q = draw.weights(256);
        const Moments moments {p, q};
        const ScaleBounds bounds {0.2f, 0.2f * 27, 3.0f};
        Shortlist list;
        shorten(moments, bounds, 1000, list);
        QVERIFY(list.count < 30);
        for (std::size_t i = 0; i < static_cast<std::size_t>(list.count); ++i)
            QVERIFY(list.p[i] == p[list.code[i] - 1000U] && list.q[i] == q[list.code[i] - 1000U]);
        for (const float scale : scalesWithin(bounds, 1.01f)) {
            const float least = leastHeight(moments, scale);
            QVERIFY(leastHeight(list, scale) <= least + 1e-5f * std::abs(least));
            const auto best = static_cast<std::size_t>(bestCodeword(moments, scale));
            QCOMPARE(scale * q[best] - 2.0f * p[best], least);
        }
    }
}

// All of 256 codewords added, although a list holds fewer.
void TestCodebooks::fullListsLoseNothing()
{
    Draw draw(8);
    const ScaleBounds bounds {0.2f, 0.2f * 27, 3.0f};
    for (int round = 0; round < 100; ++round) {
        const std::vector<float> p = draw.normal(256), q = draw.weights(256);
        Shortlist list;
        for (int i = 0; i < 256; ++i)
            list.add(p[static_cast<std::size_t>(i)], q[static_cast<std::size_t>(i)], i, bounds);
        for (const float scale : scalesWithin(bounds, 1.01f)) {
            const float least = leastHeight({p, q}, scale);
            QVERIFY(std::abs(leastHeight(list, scale) - least) <= 1e-5f * std::abs(least));
        }
    }
}

void TestCodebooks::halvesFindTheBest()
{
    constexpr std::array<float, 3> kLevels {-1.125f, -0.125f, 0.875f};
    const HalvedCodebook<8, 64, 3> codebook(kPacked, 2, kLevels);
    Draw draw(2);
    for (int round = 0; round < 500; ++round) {
        const std::vector<float> x = draw.normal(8), w = draw.weights(8);
        Target<8> target(x.data(), w.data());
        for (std::size_t k = 0; k < 8; ++k)
            target.y[k] = target.w[k] * x[k];
        std::vector<float> p(64), q(64);
        for (std::size_t e = 0; e < 64; ++e)
            for (std::size_t k = 0; k < 8; ++k) {
                const float value = kLevels[kPacked[e] >> (2 * k) & 3];
                p[e] += target.y[k] * value;
                q[e] += target.w[k] * value * value;
            }
        Shortlist list;
        const ScaleBounds bounds {0.5f, 4.0f, 2.0f};
        codebook.shorten(target, bounds, 0, list);
        for (const float scale : scalesWithin(bounds, 1.03f)) {
            const float least = leastHeight({p, q}, scale), found = leastHeight(list, scale);
            float size = 0; // of the numbers that are added
            for (std::size_t e = 0; e < 64; ++e)
                size = std::max(size, scale * q[e] + std::abs(p[e]));
            QVERIFY2(std::abs(found - least) <= 1e-5f * size,
                     qPrintable(QString("%1 instead of %2 at %3").arg(found).arg(least).arg(scale)));
        }
    }
}

// Nothing that placing other values leads to is nearer.
void TestCodebooks::placeTheNearest()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(3);
    const auto group = static_cast<std::size_t>(format->group);
    const std::vector<std::byte> block = encoded(*format, draw.normal(static_cast<std::size_t>(format->values)));
    for (int first = 0; first < format->values; first += 7 * format->group) {
        constexpr int kOthers = 200;
        std::vector<std::vector<float>> reachable;
        reachable.reserve(kOthers);
        const auto placed = [&](std::vector<float> x) {
            std::vector<std::byte> copy = block;
            format->place(*format, copy.data(), first, x);
            return x;
        };
        for (int i = 0; i < kOthers; ++i)
            reachable.push_back(placed(draw.normal(group)));
        for (int i = 0; i < 10; ++i) {
            const std::vector<float> x = draw.normal(group), nearest = placed(x);
            for (const std::vector<float>& other : reachable)
                QVERIFY(squares(x, nearest) <= squares(x, other) * (1 + 1e-5));
            QCOMPARE(placed(nearest), nearest);
        }
    }
}

// Under the scales that an encoder has chosen, its codes are the nearest ones.
void TestCodebooks::encodeWhatTheyWouldPlace()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(4);
    for (int round = 0; round < 4; ++round) {
        const std::vector<float> x = draw.normal(static_cast<std::size_t>(format->values));
        std::vector<std::byte> block = encoded(*format, x);
        const double before = squares(x, decoded(*format, block));
        for (int first = 0; first < format->values; first += format->group) {
            std::vector<float> values(x.begin() + first, x.begin() + first + format->group);
            format->place(*format, block.data(), first, values);
        }
        const double after = squares(x, decoded(*format, block));
        QVERIFY2(std::abs(after - before) <= 1e-5 * before, qPrintable(QString::number(after / before)));
    }
}

// Groups of unlike size under one d: choosing d and the small integers together loses little against a d for each
// group.
void TestCodebooks::roundScalesTogether()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(5);
    double together = 0, apart = 0;
    const auto n = static_cast<std::size_t>(format->values), scaled = static_cast<std::size_t>(format->scaled);
    for (int round = 0; round < 4; ++round) {
        std::vector<float> x = draw.normal(n), w = draw.weights(n);
        for (std::size_t i = 0; i < n; ++i)
            x[i] *= i / scaled % 2 == 0 ? 1.0f : 0.6f;
        together += squares(x, decoded(*format, encoded(*format, x, w)), w);
        for (std::size_t first = 0; first < n; first += scaled) { // the group repeated all over the block
            std::vector<float> alike(n), weights(n);
            for (std::size_t i = 0; i < n; ++i) {
                alike[i] = x[first + i % scaled];
                weights[i] = w[first + i % scaled];
            }
            const double error = squares(alike, decoded(*format, encoded(*format, alike, weights)), weights);
            apart += error * static_cast<double>(scaled) / static_cast<double>(n);
        }
    }
    QVERIFY2(together <= 1.06 * apart, qPrintable(QString::number(together / apart)));
    QVERIFY2(together >= 0.99 * apart, qPrintable(QString::number(together / apart)));
}

// The magnitudes that are not 0 are the largest ones, however many: all numbers of them are tried.
void TestCodebooks::findTernaryScales()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(6);
    double ours = 0, best = 0;
    for (int round = 0; round < 40; ++round) {
        const std::vector<float> x = draw.normal(256), w = draw.weights(256);
        ours += squares(x, decoded(*format, encoded(*format, x, w)), w);
        std::vector<std::pair<double, double>> sorted;
        double power = 0, gain = 0, sumW = 0, sumWx = 0;
        for (std::size_t i = 0; i < 256; ++i) {
            sorted.emplace_back(std::abs(x[i]), w[i]);
            power += double(w[i]) * double(x[i]) * double(x[i]);
        }
        std::ranges::sort(sorted, std::greater<>());
        for (const auto& [magnitude, weight] : sorted) {
            sumW += weight;
            sumWx += weight * magnitude;
            gain = std::max(gain, sumWx * sumWx / sumW);
        }
        best += power - gain;
    }
    QVERIFY2(ours <= 1.001 * best, qPrintable(QString::number(ours / best)));
}

void TestCodebooks::findPowersOfTwo()
{
    const BlockFormat& format = *findBlockFormat("MXFP4");
    Draw draw(7);
    for (int round = 0; round < 50; ++round) {
        const std::vector<float> x = draw.normal(32), w = draw.weights(32);
        const std::vector<std::byte> block = encoded(format, x, w);
        const double ours = squares(x, decoded(format, block), w);
        for (int exponent = 100; exponent < 150; ++exponent) {
            std::vector<std::byte> other = block;
            other[0] = static_cast<std::byte>(exponent);
            for (int i = 0; i < 32; ++i) {
                float value = x[static_cast<std::size_t>(i)];
                format.place(format, other.data(), i, {&value, 1});
            }
            QVERIFY(ours <= squares(x, decoded(format, other), w) * (1 + 1e-6));
        }
    }
}

QTEST_GUILESS_MAIN(TestCodebooks)
#include "tst_codebooks.moc"
