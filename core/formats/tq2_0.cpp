#include "core/ternary.h"

// TQ2_0: 256 ternary weights, one scale.     x = d * (q - 1),  q in [0, 2]; 3 is never written.     2.0625 bits per
// weight. Bits lie as in Q2_K.
namespace quern {
namespace {

struct Block {
    std::uint8_t codes[64];
    Half d;

    static constexpr int kValues = 256, kGroup = 256;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i)
                v[32 * part + i] = static_cast<std::int8_t>((codes[part / 4 * 32 + i] >> (part % 4 * 2) & 3) - 1);
    }
    void set(int i, int v) { setBits(codes[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, v + 1); }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -1, 1)); }
    void fit(const Sample& sample) { d = fitTernary(sample); }
    void setParameters(const Grid& grid) { d = grid.scale; }
};
static_assert(sizeof(Block) == 66);

} // namespace

extern const BlockFormat tq2_0;
constinit const BlockFormat tq2_0 = formatOf<Block>("TQ2_0", 35, encodeBlocks<Block>);

} // namespace quern
