#include "core/encode.h"

// IQ4_NL: 32 weights, one scale, of either sign.     x = d * table[q],  q in [0, 15].     4.5 bits per weight.
// Codes lie as in Q4_0.
namespace quern {
namespace {

struct Block {
    Half d;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-127, 113, true};

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < 32; ++i)
            v[i] = kIq4Values[nibble(codes, i)];
    }
    void set(int i, int v) { setNibble(codes, i, iq4Code(v)); }
    void pack(const std::int8_t* v)
    {
        for (int i = 0; i < 16; ++i)
            codes[i] = static_cast<std::uint8_t>(iq4Code(v[i]) | iq4Code(v[i + 16]) << 4);
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findScales(tile, kCodes, effort); }
    void setParameters(const Grid& grid) { d = grid.scale; }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat iq4_nl;
constinit const BlockFormat iq4_nl = formatOf<Block>("IQ4_NL", 20, encodeTiles<Block>);

} // namespace quern
