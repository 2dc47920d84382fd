#include "core/fit.h"

// Q5_1: 32 weights, a scale and a minimum.     x = d * q + m,  q in [0, 31].     6 bits per weight.
// Four bits as in Q4_1, the fifth of weight i in bit i of `high`.
namespace quern {
namespace {

struct Block {
    Half d, m;
    Stored<std::uint32_t> high;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = true;

    Grid grid(int) const { return {d, m}; }
    void unpack(std::int8_t* v) const
    {
        const std::uint32_t fifth = high;
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>((codes[i] & 15) | static_cast<int>(fifth >> i & 1) << 4);
            v[i + 16] = static_cast<std::int8_t>((codes[i] >> 4) | static_cast<int>(fifth >> (i + 16) & 1) << 4);
        }
    }
    void set(int i, int v)
    {
        setNibble(codes, i, v);
        high = (high & ~(1u << i)) | static_cast<std::uint32_t>(v >> 4 & 1) << i;
    }
    void pack(const std::int8_t* v)
    {
        packNibbles(codes, v, 0);
        high = fifthBits(v, 0);
    }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, 0, 31)); }
    void fit(const Sample& sample) { setGrid(fitGrid(sample, 31)); }
    void setGrid(const Grid& grid)
    {
        d = finiteHalf(grid.scale);
        m = finiteHalf(grid.offset);
    }
    static AlikeGrids fitAlike(std::span<const float> x) { return gridsOfAlike(x, 31); }
};
static_assert(sizeof(Block) == 24);

} // namespace

extern const BlockFormat q5_1;
constinit const BlockFormat q5_1 {.name = "Q5_1",
                                  .id = 7,
                                  .values = Block::kValues,
                                  .bytes = sizeof(Block),
                                  .encode = encodeSmallBlocks<Block>,
                                  .decode = decodeBlocks<Block>,
                                  .place = placeCode<Block>};

} // namespace quern
