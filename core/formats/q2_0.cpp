#include "core/encode.h"

// Q2_0: 64 weights, one scale.     x = d * (q - 1),  q in [0, 3].     2.25 bits per weight.
// Two bits at 2 * (i % 4) of byte i / 4.
namespace quern {
namespace {

struct Block {
    Half d;
    std::uint8_t codes[16];

    static constexpr int kValues = 64, kGroup = 64;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-1, 2};

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < kValues; ++i)
            v[i] = static_cast<std::int8_t>((codes[i / 4] >> (i % 4 * 2) & 3) - 1);
    }
    void set(int i, int v) { setBits(codes[i / 4], i % 4 * 2, 3, v + 1); }
    void pack(const std::int8_t* v)
    {
        for (int i = 0; i < 16; ++i) {
            const std::int8_t* q = v + 4 * i;
            codes[i] = static_cast<std::uint8_t>((q[0] + 1) | (q[1] + 1) << 2 | (q[2] + 1) << 4 | (q[3] + 1) << 6);
        }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findScales(tile, kCodes, effort); }
    void setParameters(const Grid& grid) { d = grid.scale; }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat q2_0;
constinit const BlockFormat q2_0 = formatOf<Block>("Q2_0", 42, encodeTiles<Block>);

} // namespace quern
