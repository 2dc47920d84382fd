#include "core/sixbits.h"

// Q5_K: 256 weights in 8 groups.     x = d * s * q - dmin * m,  q in [0, 31], s and m in [0, 63].     5.5 bits per
// weight. Four bits as in Q4_K, the fifth of weight i in bit i / 32 of high[i % 32].
namespace quern {
namespace {

struct Block {
    SixBitGrids grids;
    std::uint8_t high[32];
    std::uint8_t codes[128];

    static constexpr int kValues = 256, kGroup = 32;
    static constexpr bool kOffset = true;

    Grid grid(int g) const { return grids.grid(g); }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i) {
                const int low = codes[part / 2 * 32 + i] >> (part % 2 * 4) & 15;
                v[32 * part + i] = static_cast<std::int8_t>(low | (high[i] >> part & 1) << 4);
            }
    }
    void set(int i, int v)
    {
        setBits(codes[i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15, v);
        setBits(high[i % 32], i / 32, 1, v >> 4);
    }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, 0, 31)); }
    void fit(const Sample& sample) { grids.fit(sample, 31); }
};
static_assert(sizeof(Block) == 176);

} // namespace

extern const BlockFormat q5_k;
constinit const BlockFormat q5_k = formatOf<Block>("Q5_K", 13, encodeBlocks<Block>);

} // namespace quern
