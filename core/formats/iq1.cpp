#include "core/formats/iq1grid.h"
#include "core/halves.h"

// IQ1_S, IQ1_M: 256 weights in vectors of eight.     x = d * (2 s + 1) * (v + delta),  v of a codebook of 2048 vectors
// from {-1, 0, 1}^8, delta = 1/8 or -1/8, s in [0, 7].     1.5625 and 1.75 bits per weight.
namespace quern {
namespace {

constexpr std::size_t kEntries = 2048, kVectors = kLatticeValues / 8;
constexpr auto kGrid = spread<8>(kIq1, 2, std::array<std::int8_t, 3> {-1, 0, 1});
constexpr float kDelta = 0.125f;
constexpr Levels kLevels {1.1f, 0.6f, 1.35f};
constexpr Ladder kSteps {1.0f, 8};

void put(float* x, float scale, int index, bool below)
{
    const float delta = below ? -kDelta : kDelta;
    const CodeVector<8>& vector = kGrid[static_cast<std::size_t>(index)];
    for (std::size_t k = 0; k < 8; ++k)
        x[k] = scale * (static_cast<float>(vector[k]) + delta);
}

using Grid = HalvedCodebook<8, kEntries, 3>;

// The vectors with delta added or taken away.
const Grid& gridOf(bool below)
{
    constexpr std::array<float, 3> kAbove {-1 + kDelta, kDelta, 1 + kDelta}, kBelow {-1 - kDelta, -kDelta, 1 - kDelta};
    static const Grid above(kIq1, 2, kAbove), under(kIq1, 2, kBelow);
    return below ? under : above;
}

// Values have signs, and so has the target.
Target<8> targetOf(const float* x, const float* importance, float sign = 1.0f)
{
    Target<8> target(x, importance);
    for (std::size_t k = 0; k < 8; ++k)
        target.y[k] = target.w[k] * x[k] * sign;
    return target;
}

constexpr int kLess = kEntries; // added to the codes of vectors with delta taken away

// Adds what is nearest to x under a scale, whose magnitude it returns.
float addNear(std::span<const float> x, float scale, bool below, Shortlist& list)
{
    const float magnitude = std::abs(scale);
    gridOf(below).shorten(targetOf(x.data(), nullptr, scale < 0.0f ? -1.0f : 1.0f), {magnitude, magnitude},
                          below ? kLess : 0, list);
    return magnitude;
}

// high[g] of 32 weights: the upper three bits of four indices, three bits of s, the sign of delta.
struct S {
    Half d;
    std::uint8_t low[32];
    Stored<std::uint16_t> high[8];

    static constexpr Ladder kLadder = kSteps;
    class Search;
    static void place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x);

    bool below(int v) const { return (high[v / 4] & 0x8000) != 0; }
    float scale(int v) const { return d * static_cast<float>(2 * (high[v / 4] >> 12 & 7) + 1); }
    void decodeVector(int v, float* x) const
    {
        put(x, scale(v), low[v] | (high[v / 4] >> (v % 4 * 3) & 7) << 8, below(v));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setBits(int g, int shift, int mask, int value)
    {
        high[g] = static_cast<std::uint16_t>((high[g] & ~(mask << shift)) | value << shift);
    }
    void setScale(int g, int s) { setBits(g, 12, 7, s); }
    void setBelow(int g, bool is) { setBits(g, 15, 1, is ? 1 : 0); }
    void setIndex(int v, int index)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(v / 4, v % 4 * 3, 7, index >> 8);
    }
};
static_assert(sizeof(S) == 50);

// Four vectors share the sign of delta, as they share the scale.
class S::Search {
public:
    explicit Search(const Sample& sample)
        : bounds(boundsOf<32>(sample, kLevels))
    {
        for (std::size_t v = 0; v < kVectors; ++v) {
            const std::size_t g = v / 4;
            const Target<8> target = targetOf(sample.x + 8 * v, sample.w + 8 * v);
            for (std::size_t way = 0; way < 2; ++way)
                gridOf(way == 1).shorten(target, bounds[g], 0, m_lists[8 * g + 4 * way + v % 4]);
            units[g] = {.parts = 4, .ways = 2, .lists = &m_lists[8 * g]};
        }
    }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    static void store(S& block, std::size_t g, const UnitCodes& codes)
    {
        block.setBelow(static_cast<int>(g), codes.way == 1);
        for (std::size_t part = 0; part < 4; ++part)
            block.setIndex(static_cast<int>(4 * g + part), codes.code[part]);
    }

    std::array<Unit, kVectors / 4> units;
    std::array<ScaleBounds, kVectors / 4> bounds;

private:
    std::array<Shortlist, 2 * kVectors> m_lists;
};

void S::place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<S*>(bytes);
    const int v = first / 8;
    Shortlist list;
    const float scale = addNear(x, block.scale(v), block.below(v), list);
    block.setIndex(v, bestCodes({.lists = &list}, scale).code[0] % kLess);
    block.decodeVector(v, x.data());
}

// A half of `high` per vector: the upper three bits of its index, the sign of its delta. Three bits of s for 16
// weights, five in each of `scales`, whose upper four bits together are d.
struct M {
    std::uint8_t low[32];
    std::uint8_t high[16];
    Stored<std::uint16_t> scales[4];

    static constexpr Ladder kLadder = kSteps;
    class Search;
    static void place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x);

    float d() const
    {
        int bits = 0;
        for (int k = 0; k < 4; ++k)
            bits |= (scales[k] >> 12) << (4 * k);
        return halfToFloat(static_cast<std::uint16_t>(bits));
    }
    float scale(int v) const { return d() * static_cast<float>(2 * (scales[v / 8] >> (v % 8 / 2 * 3) & 7) + 1); }
    void decodeVector(int v, float whole, float* x) const
    {
        const int s = scales[v / 8] >> (v % 8 / 2 * 3) & 7, bits = high[v / 2] >> (v % 2 * 4);
        put(x, whole * static_cast<float>(2 * s + 1), low[v] | (bits & 7) << 8, (bits & 8) != 0);
    }
    void decode(float* x) const
    {
        const float whole = d();
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, whole, x);
    }
    void setBits(int k, int shift, int mask, int value)
    {
        scales[k] = static_cast<std::uint16_t>((scales[k] & ~(mask << shift)) | value << shift);
    }
    void setWhole(float value)
    {
        for (int k = 0; k < 4; ++k)
            setBits(k, 12, 15, floatToHalf(value) >> (4 * k) & 15);
    }
    void setScale(int g, int s) { setBits(g / 4, g % 4 * 3, 7, s); }
    void setCode(int v, int code) // bit 11: less delta
    {
        low[v] = static_cast<std::uint8_t>(code);
        quern::setBits(high[v / 2], v % 2 * 4, 15, code >> 8);
    }
};
static_assert(sizeof(M) == 56);

// Every vector has a delta of its own: twice as many codewords.
class M::Search {
public:
    explicit Search(const Sample& sample)
        : bounds(boundsOf<16>(sample, kLevels))
    {
        for (std::size_t v = 0; v < kVectors; ++v) {
            units[v].lists = &m_lists[v];
            const Target<8> target = targetOf(sample.x + 8 * v, sample.w + 8 * v);
            for (const bool below : {false, true})
                gridOf(below).shorten(target, bounds[v / 2], below ? kLess : 0, m_lists[v]);
        }
    }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    static void store(M& block, std::size_t v, const UnitCodes& codes)
    {
        block.setCode(static_cast<int>(v), codes.code[0]);
    }

    std::array<Unit, kVectors> units;
    std::array<ScaleBounds, kVectors / 2> bounds;

private:
    std::array<Shortlist, kVectors> m_lists;
};

void M::place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<M*>(bytes);
    const int v = first / 8;
    Shortlist list;
    float scale = 0;
    for (const bool below : {false, true})
        scale = addNear(x, block.scale(v), below, list);
    block.setCode(v, bestCodes({.lists = &list}, scale).code[0]);
    block.decodeVector(v, block.d(), x.data());
}

} // namespace

extern const BlockFormat iq1_s, iq1_m;
constinit const BlockFormat iq1_s = latticeFormat<S, 8>("IQ1_S", 19, 32);
constinit const BlockFormat iq1_m = latticeFormat<M, 8>("IQ1_M", 29, 16);

} // namespace quern
