#include "core/fit.h"

// Q5_0: 32 weights, symmetric, one scale, of either sign.     x = d * q,  q in [-16, 15].     5.5 bits per weight.
// Stored are q + 16: four bits as in Q4_0, the fifth of weight i in bit i of `high`.
namespace quern {
namespace {

struct Block {
    Half d;
    Stored<std::uint32_t> high;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        const std::uint32_t fifth = high;
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>(((codes[i] & 15) | static_cast<int>(fifth >> i & 1) << 4) - 16);
            v[i + 16] = static_cast<std::int8_t>(((codes[i] >> 4) | static_cast<int>(fifth >> (i + 16) & 1) << 4) - 16);
        }
    }
    void set(int i, int v)
    {
        setNibble(codes, i, v + 16);
        high = (high & ~(1u << i)) | static_cast<std::uint32_t>((v + 16) >> 4 & 1) << i;
    }
    void pack(const std::int8_t* v)
    {
        packNibbles(codes, v, 16);
        high = fifthBits(v, 16);
    }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -16, 15)); }
    void fit(const Sample& sample) { d = fitScale(sample, {-16, 15}); }
    void setGrid(const Grid& grid) { d = finiteHalf(grid.scale); }
    static AlikeGrids fitAlike(std::span<const float> x) { return scalesOfAlike(x, 31); }
};
static_assert(sizeof(Block) == 22);

} // namespace

extern const BlockFormat q5_0;
constinit const BlockFormat q5_0 {.name = "Q5_0",
                                  .id = 6,
                                  .values = Block::kValues,
                                  .bytes = sizeof(Block),
                                  .encode = encodeSmallBlocks<Block>,
                                  .decode = decodeBlocks<Block>,
                                  .place = placeCode<Block>};

} // namespace quern
