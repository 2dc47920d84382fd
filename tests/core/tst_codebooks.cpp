// Searches of codebooks and of scales against exhaustive ones.
#include "core/blockformat.h"
#include "core/codebook.h"

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
    void findTheBest();
    void findTheBestNearby();
    void turnOneSign();
    void fastIsCoarser_data() { formats(hasVectors); }
    void fastIsCoarser();
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

// Points of a lattice of three levels in eight dimensions, two bits a digit, spread evenly.
template <std::size_t Entries>
constexpr std::array<std::uint16_t, Entries> pointsOf(unsigned step)
{
    std::array<std::uint16_t, Entries> packed {};
    for (unsigned e = 0; e < Entries; ++e)
        for (unsigned k = 0, number = step * e % 6561; k < 8; ++k, number /= 3)
            packed[e] = static_cast<std::uint16_t>(packed[e] | number % 3 << (2 * k));
    return packed;
}

constexpr auto kFew = pointsOf<64>(104);
constexpr auto kMany = pointsOf<2187>(2); // a third of all points: searched near the weights only
constexpr std::array<float, 3> kLevels {0.3f, 1.0f, 1.7f};

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

std::array<Floats, 3> values()
{
    return {kLevels[0], kLevels[1], kLevels[2]};
}

Targets<8> drawnTargets(Draw& draw)
{
    Targets<8> targets;
    for (std::size_t k = 0; k < 8; ++k) {
        const std::vector<float> x = draw.normal(kLanes), w = draw.weights(kLanes);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            targets.w[k].set(lane, w[lane]);
            targets.y[k].set(lane, w[lane] * std::abs(x[lane]));
        }
    }
    return targets;
}

float levelOf(std::uint16_t packed, std::size_t k)
{
    return kLevels[packed >> (2 * k) & 3];
}

// scale q - 2 p of a codeword, less that of the best point of the whole lattice.
double excess(const Targets<8>& targets, std::size_t lane, float scale, std::uint16_t packed)
{
    double sum = 0;
    for (std::size_t k = 0; k < 8; ++k) {
        const double w = targets.w[k][lane], y = targets.y[k][lane];
        const auto height = [&](double level) { return level * (double(scale) * w * level - 2 * y); };
        sum += height(double(levelOf(packed, k)))
            - std::min({height(double(kLevels[0])), height(double(kLevels[1])), height(double(kLevels[2]))});
    }
    return sum;
}

// Found is, for every lane, as good as the best of those codewords that may be looked at; p and q are its own.
template <std::size_t Entries, typename Within>
void compareFound(const Targets<8>& targets, const Floats& scale, const std::array<std::uint16_t, Entries>& packed,
                  const Found& found, const Within& within)
{
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        double least = std::numeric_limits<double>::max();
        for (const std::uint16_t codeword : packed)
            if (within(lane, codeword))
                least = std::min(least, excess(targets, lane, scale[lane], codeword));
        QVERIFY(found.code[lane] < Entries);
        const std::uint16_t chosen = packed[found.code[lane]];
        const double its = excess(targets, lane, scale[lane], chosen);
        QVERIFY2(its <= least * (1 + 2e-5) + 1e-5, qPrintable(QString("%1 instead of %2").arg(its).arg(least)));
        double p = 0, q = 0;
        for (std::size_t k = 0; k < 8; ++k) {
            p += double(targets.y[k][lane]) * double(levelOf(chosen, k));
            q += double(targets.w[k][lane]) * std::pow(double(levelOf(chosen, k)), 2);
        }
        QVERIFY(std::abs(double(found.p[lane]) - p) <= 1e-4 * q && std::abs(double(found.q[lane]) - q) <= 1e-5 * q);
    }
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

void TestCodebooks::findTheBest()
{
    const Codebook<8, 3, kFew.size()> few(kFew);
    const Codebook<8, 3, kMany.size()> many(kMany);
    Draw draw(1);
    const auto any = [](std::size_t, std::uint16_t) { return true; };
    for (int round = 0; round < 30; ++round) {
        const Targets<8> targets = drawnTargets(draw);
        const Floats scale = Floats::load(draw.weights(kLanes).data());
        Found found;
        few.find(targets, values(), scale, found);
        compareFound(targets, scale, kFew, found, any);
        few.findNear(targets, values(), scale, found);
        compareFound(targets, scale, kFew, found, any);
        many.find(targets, values(), scale, found);
        compareFound(targets, scale, kMany, found, any);
    }
}

// Among codewords whose values are next to the weights, above or below.
void TestCodebooks::findTheBestNearby()
{
    const Codebook<8, 3, kMany.size()> codebook(kMany);
    Draw draw(2);
    for (int round = 0; round < 60; ++round) {
        const Targets<8> targets = drawnTargets(draw);
        const Floats scale = Floats::load(draw.weights(kLanes).data());
        Found found;
        codebook.findNear(targets, values(), scale, found);
        compareFound(targets, scale, kMany, found, [&](std::size_t lane, std::uint16_t codeword) {
            for (std::size_t k = 0; k < 8; ++k) {
                const bool high = targets.y[k][lane] > scale[lane] * targets.w[k][lane] * kLevels[1];
                if (levelOf(codeword, k) == (high ? kLevels[0] : kLevels[2]))
                    return false;
            }
            return true;
        });
    }
}

// In the lanes that are asked for, and of the weight for which that costs least in the lattice.
void TestCodebooks::turnOneSign()
{
    const Codebook<8, 3, kFew.size()> codebook(kFew);
    Draw draw(3);
    const Floats upper
        = Floats::load(std::array<float, kLanes> {1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1}.data());
    for (int round = 0; round < 30; ++round) {
        Targets<8> targets = drawnTargets(draw);
        const Floats scale = Floats::load(draw.weights(kLanes).data());
        Found found;
        codebook.findTurned(targets, values(), scale, upper > Floats(0.0f), found);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            const auto rise = [&](std::size_t k) {
                double kept = 1e30, turned = 1e30;
                for (const double level : kLevels) {
                    const double square = double(scale[lane]) * double(targets.w[k][lane]) * level * level;
                    kept = std::min(kept, square - 2 * double(targets.y[k][lane]) * level);
                    turned = std::min(turned, square + 2 * double(targets.y[k][lane]) * level);
                }
                return turned - kept;
            };
            const std::size_t chosen = found.turned[lane];
            QVERIFY(chosen < 8);
            for (std::size_t k = 0; k < 8; ++k)
                QVERIFY(rise(chosen) <= rise(k) * (1 + 1e-5) + 1e-6);
            if (upper[lane] > 0.0f)
                targets.y[chosen].set(lane, -targets.y[chosen][lane]);
        }
        compareFound(targets, scale, kFew, found, [](std::size_t, std::uint16_t) { return true; });
    }
}

// Previews may lose a little, and are not what files get.
void TestCodebooks::fastIsCoarser()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(8);
    double fast = 0, best = 0;
    bool same = true;
    for (int round = 0; round < 12; ++round) {
        const std::vector<float> x = draw.normal(256), w = draw.weights(256);
        std::vector<std::byte> block(static_cast<std::size_t>(format->bytes));
        format->encode(*format, x, {.importance = w, .effort = Effort::Fast}, block.data());
        const std::vector<std::byte> bestBlock = encoded(*format, x, w);
        fast += squares(x, decoded(*format, block), w);
        best += squares(x, decoded(*format, bestBlock), w);
        same = same && block == bestBlock;
    }
    QVERIFY(!same);
    QVERIFY2(fast > 0.999 * best && fast < 1.15 * best, qPrintable(QString::number(fast / best)));
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

// Under the scales that an encoder has chosen, its codes are hardly ever not the nearest ones.
void TestCodebooks::encodeWhatTheyWouldPlace()
{
    QFETCH(const BlockFormat*, format);
    Draw draw(4);
    double encodedLoss = 0, placedLoss = 0;
    for (int round = 0; round < 4; ++round) {
        const std::vector<float> x = draw.normal(static_cast<std::size_t>(format->values));
        std::vector<std::byte> block = encoded(*format, x);
        const double before = squares(x, decoded(*format, block));
        for (int first = 0; first < format->values; first += format->group) {
            std::vector<float> values(x.begin() + first, x.begin() + first + format->group);
            format->place(*format, block.data(), first, values);
        }
        const double after = squares(x, decoded(*format, block));
        QVERIFY2(after <= before * (1 + 1e-5), qPrintable(QString::number(after / before)));
        encodedLoss += before;
        placedLoss += after;
    }
    QVERIFY2(encodedLoss <= 1.005 * placedLoss, qPrintable(QString::number(encodedLoss / placedLoss)));
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
