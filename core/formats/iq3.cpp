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

    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4) {
            const std::uint32_t bits = signsAndScales[v / 8];
            const float scale = d * (0.5f + static_cast<float>(bits >> 28)) * 0.5f;
            putSigned(x, scale, kGridXxs[index[v]], evenSigns(bits >> (v % 8 / 2 * 7)) >> (v % 2 * 4));
        }
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

    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4) {
            const int index = low[v] | (high[v / 8] >> (v % 8) & 1) << 8;
            const int s = scales[v / 16] >> (v / 8 % 2 * 4) & 15;
            const float scale = d * static_cast<float>(1 + 2 * s);
            putSigned(x, scale, kGridS[static_cast<std::size_t>(index)], signs[v / 2] >> (v % 2 * 4));
        }
    }
};
static_assert(sizeof(S) == 110);

} // namespace

extern const BlockFormat iq3_xxs, iq3_s;
constinit const BlockFormat iq3_xxs = latticeFormat<Xxs, 4>("IQ3_XXS", 18, 32);
constinit const BlockFormat iq3_s = latticeFormat<S, 4>("IQ3_S", 21, 32, false);

} // namespace quern
