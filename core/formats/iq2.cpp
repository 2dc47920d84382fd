#include "core/formats/iq2grid.h"
#include "core/lattice.h"

// IQ2_XXS, IQ2_XS, IQ2_S: 256 weights in vectors of eight.     x = d * (1/2 + s) / 4 * sign * magnitude, s in [0, 15],
// magnitudes of a codebook of 256, 512, 1024 vectors from {8, 25, 43}^8.     2.0625, 2.3125, 2.5625 bits per weight.
namespace quern {
namespace {

constexpr std::array<std::int8_t, 3> kLevels {8, 25, 43};
constexpr auto kGridXxs = spread<8>(kIq2xxs, 2, kLevels);
constexpr auto kGridXs = spread<8>(kIq2xs, 2, kLevels);
constexpr auto kGridS = spread<8>(kIq2s, 2, kLevels);

// What the three formats are to a search.
template <const auto& Packed, Signs Kind, int Scaled>
struct Common {
    static constexpr std::array<float, 3> kLevels {8, 25, 43};
    static constexpr Ladder kLadder {0.125f, 16};
    static constexpr std::size_t kSamples = 5;
    static constexpr Reach kReach {8.0f, 15.0f, 43.0f};
    static constexpr Signs kSigns = Kind;
    static constexpr int kScaled = Scaled, kParts = 1;

    static const auto& codebook() { return codebookOf<8, 3, Packed>(); }
};

float groupScale(float d, int s)
{
    return d * (0.5f + static_cast<float>(s)) * 0.25f;
}

// A group of 32: four indices of 8 bits, then four times 7 bits of signs (the eighth makes them even), then s.
struct Xxs : Common<kIq2xxs, Signs::Even, 32> {
    Half d;
    struct Group {
        std::uint8_t index[4];
        Stored<std::uint32_t> signsAndScale;
    } groups[8];

    float scale(int v) const { return groupScale(d, static_cast<int>(groups[v / 4].signsAndScale >> 28)); }
    void decodeVector(int v, float* x) const
    {
        const Group& group = groups[v / 4];
        putSigned(x, scale(v), kGridXxs[group.index[v % 4]], evenSigns(group.signsAndScale >> (v % 4 * 7)));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s)
    {
        Stored<std::uint32_t>& bits = groups[g].signsAndScale;
        bits = (bits & 0x0FFFFFFF) | static_cast<std::uint32_t>(s) << 28;
    }
    void setCode(int v, int index, int signs)
    {
        Group& group = groups[v / 4];
        const int shift = v % 4 * 7;
        group.index[v % 4] = static_cast<std::uint8_t>(index);
        group.signsAndScale
            = (group.signsAndScale & ~(127u << shift)) | (static_cast<std::uint32_t>(signs) & 127) << shift;
    }
};
static_assert(sizeof(Xxs) == 66);

// A vector: nine bits of index, seven of signs as in IQ2_XXS. A scale for 16 weights, low half first.
struct Xs : Common<kIq2xs, Signs::Even, 16> {
    Half d;
    Stored<std::uint16_t> codes[32];
    std::uint8_t scales[8];

    float scale(int v) const { return groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15); }
    void decodeVector(int v, float* x) const
    {
        putSigned(x, scale(v), kGridXs[codes[v] & 511], evenSigns(codes[v] >> 9));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int signs) { codes[v] = static_cast<std::uint16_t>(index | (signs & 127) << 9); }
};
static_assert(sizeof(Xs) == 74);

// A vector: eight bits of index in `low`, two at 2 * (v % 4) of high[v / 4], eight signs. A scale for 16 weights.
struct S : Common<kIq2s, Signs::Free, 16> {
    Half d;
    std::uint8_t low[32];
    std::uint8_t signs[32];
    std::uint8_t high[8];
    std::uint8_t scales[8];

    float scale(int v) const { return groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15); }
    void decodeVector(int v, float* x) const
    {
        const int index = low[v] | (high[v / 4] >> (v % 4 * 2) & 3) << 8;
        putSigned(x, scale(v), kGridS[static_cast<std::size_t>(index)], signs[v]);
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int itsSigns)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(high[v / 4], v % 4 * 2, 3, index >> 8);
        signs[v] = static_cast<std::uint8_t>(itsSigns);
    }
};
static_assert(sizeof(S) == 82);

} // namespace

extern const BlockFormat iq2_xxs, iq2_xs, iq2_s;
constinit const BlockFormat iq2_xxs = latticeFormat<Xxs>("IQ2_XXS", 16);
constinit const BlockFormat iq2_xs = latticeFormat<Xs>("IQ2_XS", 17);
constinit const BlockFormat iq2_s = latticeFormat<S>("IQ2_S", 22);

} // namespace quern
