#include "core/formats/iq1grid.h"
#include "core/lattice.h"

// IQ1_S, IQ1_M: 256 weights in vectors of eight.     x = d * (2 s + 1) * (v + delta),  v of a codebook of 2048 vectors
// from {-1, 0, 1}^8, delta = 1/8 or -1/8, s in [0, 7].     1.5625 and 1.75 bits per weight.
namespace quern {
namespace {

constexpr auto kGrid = spread<8>(kIq1, 2, std::array<std::int8_t, 3> {-1, 0, 1});

void put(float* x, float scale, int index, bool below)
{
    const float delta = below ? -0.125f : 0.125f;
    const CodeVector<8>& vector = kGrid[static_cast<std::size_t>(index)];
    for (std::size_t k = 0; k < 8; ++k)
        x[k] = scale * (static_cast<float>(vector[k]) + delta);
}

// high[g] of 32 weights: the upper three bits of four indices, three bits of s, the sign of delta.
struct S {
    Half d;
    std::uint8_t low[32];
    Stored<std::uint16_t> high[8];

    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8) {
            const int bits = high[v / 4];
            const float scale = d * static_cast<float>(2 * (bits >> 12 & 7) + 1);
            put(x, scale, low[v] | (bits >> (v % 4 * 3) & 7) << 8, (bits & 0x8000) != 0);
        }
    }
};
static_assert(sizeof(S) == 50);

// A half of `high` per vector: the upper three bits of its index, the sign of its delta. Three bits of s for 16
// weights, five in each of `scales`, whose upper four bits together are d.
struct M {
    std::uint8_t low[32];
    std::uint8_t high[16];
    Stored<std::uint16_t> scales[4];

    float d() const
    {
        int bits = 0;
        for (int k = 0; k < 4; ++k)
            bits |= (scales[k] >> 12) << (4 * k);
        return halfToFloat(static_cast<std::uint16_t>(bits));
    }
    void decode(float* x) const
    {
        const float whole = d();
        for (int v = 0; v < 32; ++v, x += 8) {
            const int s = scales[v / 8] >> (v % 8 / 2 * 3) & 7, bits = high[v / 2] >> (v % 2 * 4);
            put(x, whole * static_cast<float>(2 * s + 1), low[v] | (bits & 7) << 8, (bits & 8) != 0);
        }
    }
};
static_assert(sizeof(M) == 56);

} // namespace

extern const BlockFormat iq1_s, iq1_m;
constinit const BlockFormat iq1_s = latticeFormat<S, 8>("IQ1_S", 19, 32);
constinit const BlockFormat iq1_m = latticeFormat<M, 8>("IQ1_M", 29, 16);

} // namespace quern
