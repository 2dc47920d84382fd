#include "core/formats/iq1grid.h"
#include "core/lattice.h"

// IQ1_S, IQ1_M: 256 weights in vectors of eight.     x = d * (2 s + 1) * (v + delta),  v of a codebook of 2048 vectors
// from {-1, 0, 1}^8, delta = 1/8 or -1/8, s in [0, 7].     1.5625 and 1.75 bits per weight.
namespace quern {
namespace {

constexpr auto kGrid = spread<8>(kIq1, 2, std::array<std::int8_t, 3> {-1, 0, 1});
constexpr float kDelta = 0.125f;

// What both formats are to a search.
struct Common {
    static constexpr std::array<float, 3> kLevels {-1, 0, 1};
    static constexpr float kDelta = quern::kDelta;
    static constexpr Ladder kLadder {1.0f, 8};
    static constexpr std::size_t kSamples = 4;
    static constexpr Reach kReach {1.1f, 0.6f, 1.35f};
    static constexpr Signs kSigns = Signs::Coded;

    static const auto& codebook() { return codebookOf<8, 3, kIq1>(); }
};

void put(float* x, float scale, int index, bool below)
{
    const float delta = below ? -kDelta : kDelta;
    const CodeVector<8>& vector = kGrid[static_cast<std::size_t>(index)];
    for (std::size_t k = 0; k < 8; ++k)
        x[k] = scale * (static_cast<float>(vector[k]) + delta);
}

// high[g] of 32 weights: the upper three bits of four indices, three bits of s, the sign of delta.
struct S : Common {
    Half d;
    std::uint8_t low[32];
    Stored<std::uint16_t> high[8];

    static constexpr int kScaled = 32, kParts = 4; // four vectors share the sign of delta, as they share the scale

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
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setBits(int g, int shift, int mask, int value)
    {
        high[g] = static_cast<std::uint16_t>((high[g] & ~(mask << shift)) | value << shift);
    }
    void setScale(int g, int s) { setBits(g, 12, 7, s); }
    void setCode(int v, int index, int isBelow)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(v / 4, v % 4 * 3, 7, index >> 8);
        setBits(v / 4, 15, 1, isBelow);
    }
    float delta(int v, bool) const { return below(v) ? -kDelta : kDelta; }
};
static_assert(sizeof(S) == 50);

// A half of `high` per vector: the upper three bits of its index, the sign of its delta. Three bits of s for 16
// weights, five in each of `scales`, whose upper four bits together are d.
struct M : Common {
    std::uint8_t low[32];
    std::uint8_t high[16];
    Stored<std::uint16_t> scales[4];

    static constexpr int kScaled = 16, kParts = 1;

    float whole() const
    {
        int bits = 0;
        for (int k = 0; k < 4; ++k)
            bits |= (scales[k] >> 12) << (4 * k);
        return halfToFloat(static_cast<std::uint16_t>(bits));
    }
    float scale(int v) const { return whole() * static_cast<float>(2 * (scales[v / 8] >> (v % 8 / 2 * 3) & 7) + 1); }
    void decodeVector(int v, float* x) const { decodeVector(v, whole(), x); }
    void decodeVector(int v, float d, float* x) const
    {
        const int s = scales[v / 8] >> (v % 8 / 2 * 3) & 7, bits = high[v / 2] >> (v % 2 * 4);
        put(x, d * static_cast<float>(2 * s + 1), low[v] | (bits & 7) << 8, (bits & 8) != 0);
    }
    void decode(float* x) const
    {
        const float d = whole();
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, d, x);
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
    void setCode(int v, int index, int isBelow)
    {
        low[v] = static_cast<std::uint8_t>(index);
        quern::setBits(high[v / 2], v % 2 * 4, 15, index >> 8 | isBelow << 3);
    }
    static float delta(int, bool below) { return below ? -kDelta : kDelta; }
};
static_assert(sizeof(M) == 56);

} // namespace

extern const BlockFormat iq1_s, iq1_m;
constinit const BlockFormat iq1_s = latticeFormat<S>("IQ1_S", 19);
constinit const BlockFormat iq1_m = latticeFormat<M>("IQ1_M", 29);

} // namespace quern
