#include "core/encode.h"

// IQ4_XS: 256 weights in 8 groups.     x = d * s * table[q],  q in [0, 15], s in [-32, 31].     4.25 bits per weight.
// s + 32 of group g: four bits in half g % 2 of low[g / 2], two at 2 * g of `high`. Codes: 16 bytes a group, as in
// Q4_0.
namespace quern {
namespace {

struct Block {
    Half d;
    Stored<std::uint16_t> high;
    std::uint8_t low[4];
    std::uint8_t codes[128];

    static constexpr int kValues = 256, kGroup = 32;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-127, 113, true};

    static constexpr SharedRange kSteps {8, -32, 31};

    Grid whole() const { return {d, 0.0f}; }
    Grid grid(int g) const
    {
        const int s = (low[g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
        return {d * static_cast<float>(s - 32), 0.0f};
    }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < kValues; ++i)
            v[i] = kIq4Values[nibble(codes + i / 32 * 16, i % 32)];
    }
    void set(int i, int v) { setNibble(codes + i / 32 * 16, i % 32, iq4Code(v)); }
    void pack(const std::int8_t* v)
    {
        for (int i = 0; i < 128; ++i) {
            const std::int8_t* group = v + i / 16 * 32 + i % 16;
            codes[i] = static_cast<std::uint8_t>(iq4Code(group[0]) | iq4Code(group[16]) << 4);
        }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findSharedScales(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole) { d = whole.scale; }
    void setSteps(int g, int scale, int)
    {
        setBits(low[g / 2], g % 2 * 4, 15, scale + 32);
        high = static_cast<std::uint16_t>((high & ~(3 << (2 * g))) | (scale + 32) >> 4 << (2 * g));
    }
};
static_assert(sizeof(Block) == 136);

} // namespace

extern const BlockFormat iq4_xs;
constinit const BlockFormat iq4_xs = formatOf<Block>("IQ4_XS", 23, encodeTiles<Block>);

} // namespace quern
