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

float groupScale(float d, int s)
{
    return d * (0.5f + static_cast<float>(s)) * 0.25f;
}

// A group of 32: four indices of 8 bits, then four times 7 bits of signs (the eighth makes them even), then s.
struct Xxs {
    Half d;
    struct Group {
        std::uint8_t index[4];
        Stored<std::uint32_t> signsAndScale;
    } groups[8];

    void decode(float* x) const
    {
        for (const Group& group : groups) {
            const std::uint32_t bits = group.signsAndScale;
            const float scale = groupScale(d, static_cast<int>(bits >> 28));
            for (int k = 0; k < 4; ++k, x += 8)
                putSigned(x, scale, kGridXxs[group.index[k]], evenSigns(bits >> (7 * k)));
        }
    }
};
static_assert(sizeof(Xxs) == 66);

// A vector: nine bits of index, seven of signs as in IQ2_XXS. A scale for 16 weights, low half first.
struct Xs {
    Half d;
    Stored<std::uint16_t> codes[32];
    std::uint8_t scales[8];

    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8) {
            const std::uint16_t code = codes[v];
            const float scale = groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15);
            putSigned(x, scale, kGridXs[code & 511], evenSigns(code >> 9));
        }
    }
};
static_assert(sizeof(Xs) == 74);

// A vector: eight bits of index in `low`, two at 2 * (v % 4) of high[v / 4], eight signs. A scale for 16 weights.
struct S {
    Half d;
    std::uint8_t low[32];
    std::uint8_t signs[32];
    std::uint8_t high[8];
    std::uint8_t scales[8];

    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8) {
            const int index = low[v] | (high[v / 4] >> (v % 4 * 2) & 3) << 8;
            const float scale = groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15);
            putSigned(x, scale, kGridS[static_cast<std::size_t>(index)], signs[v]);
        }
    }
};
static_assert(sizeof(S) == 82);

} // namespace

extern const BlockFormat iq2_xxs, iq2_xs, iq2_s;
constinit const BlockFormat iq2_xxs = latticeFormat<Xxs, 8>("IQ2_XXS", 16, 32);
constinit const BlockFormat iq2_xs = latticeFormat<Xs, 8>("IQ2_XS", 17, 16);
constinit const BlockFormat iq2_s = latticeFormat<S, 8>("IQ2_S", 22, 16);

} // namespace quern
