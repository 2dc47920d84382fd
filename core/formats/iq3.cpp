#include "core/formats/iq3grid.h"
#include "core/lattice.h"

// IQ3_XXS: 256 weights in vectors of four.     x = d * (1/2 + s) / 2 * sign * magnitude, s in [0, 15], magnitudes of a
// codebook of 256 vectors.     3.0625 bits per weight.
// IQ3_S: x = d * (1 + 2 s) * sign * magnitude, a codebook of 512.     3.4375 bits per weight.
namespace quern {
namespace {

constexpr auto kGridXxs = spread<4>(kIq3xxs, 3, std::array<std::int8_t, 8> {4, 12, 20, 28, 36, 44, 52, 62});
constexpr auto kGridS = spread<4>(kIq3s, 3, std::array<std::int8_t, 8> {1, 3, 5, 7, 9, 11, 13, 15});

// Of 32 weights: four times 7 bits of signs (the eighth makes them even), then s.
struct Xxs {
    Half d;
    std::uint8_t index[64];
    Stored<std::uint32_t> signsAndScales[8];

    static constexpr std::array<float, 8> kLevels {4, 12, 20, 28, 36, 44, 52, 62};
    static constexpr Ladder kLadder {0.25f, 16};
    static constexpr std::size_t kSamples = 6;
    static constexpr Reach kReach {28.0f, 24.0f, 62.0f};
    static constexpr Signs kSigns = Signs::EvenInPairs;
    static constexpr int kScaled = 32, kParts = 2;

    static const auto& codebook() { return codebookOf<4, 8, kIq3xxs>(); }

    float scale(int v) const { return d * (0.5f + static_cast<float>(signsAndScales[v / 8] >> 28)) * 0.5f; }
    // Of vector v, the sign of its first weight in bit 0.
    int signs(int v) const { return evenSigns(signsAndScales[v / 8] >> (v % 8 / 2 * 7)) >> (v % 2 * 4) & 15; }
    void decodeVector(int v, float* x) const { putSigned(x, scale(v), kGridXxs[index[v]], signs(v)); }
    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4)
            decodeVector(v, x);
    }
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s)
    {
        signsAndScales[g] = (signsAndScales[g] & 0x0FFFFFFF) | static_cast<std::uint32_t>(s) << 28;
    }
    // The last sign of a pair is not stored, as their number is even.
    void setCode(int v, int code, int itsSigns)
    {
        index[v] = static_cast<std::uint8_t>(code);
        const int shift = v % 8 / 2 * 7 + v % 2 * 4;
        const std::uint32_t mask = v % 2 == 0 ? 15 : 7;
        Stored<std::uint32_t>& bits = signsAndScales[v / 8];
        bits = (bits & ~(mask << shift)) | (static_cast<std::uint32_t>(itsSigns) & mask) << shift;
    }
};
static_assert(sizeof(Xxs) == 98);

// The ninth bit of vector v's index is bit v % 8 of high[v / 8]; a scale for 32 weights, low half first.
struct S {
    Half d;
    std::uint8_t low[64];
    std::uint8_t high[8];
    std::uint8_t signs[32];
    std::uint8_t scales[4];

    static constexpr std::array<float, 8> kLevels {1, 3, 5, 7, 9, 11, 13, 15};
    static constexpr Ladder kLadder {1.0f, 16};
    static constexpr std::size_t kSamples = 6;
    static constexpr Reach kReach {7.0f, 6.0f, 15.0f};
    static constexpr Signs kSigns = Signs::Free;
    static constexpr int kScaled = 32, kParts = 1;

    static const auto& codebook() { return codebookOf<4, 8, kIq3s>(); }

    float scale(int v) const { return d * static_cast<float>(1 + 2 * (scales[v / 16] >> (v / 8 % 2 * 4) & 15)); }
    void decodeVector(int v, float* x) const
    {
        const int index = low[v] | (high[v / 8] >> (v % 8) & 1) << 8;
        putSigned(x, scale(v), kGridS[static_cast<std::size_t>(index)], signs[v / 2] >> (v % 2 * 4));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4)
            decodeVector(v, x);
    }
    float whole() const { return d; }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int itsSigns)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(high[v / 8], v % 8, 1, index >> 8);
        setBits(signs[v / 2], v % 2 * 4, 15, itsSigns);
    }
};
static_assert(sizeof(S) == 110);

} // namespace

extern const BlockFormat iq3_xxs, iq3_s;
constinit const BlockFormat iq3_xxs = latticeFormat<Xxs>("IQ3_XXS", 18);
constinit const BlockFormat iq3_s = latticeFormat<S>("IQ3_S", 21, false);

} // namespace quern
