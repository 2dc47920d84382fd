#include "core/fit.h"

// Q4_0: 32 weights, symmetric, one scale, of either sign.     x = d * q,  q in [-8, 7].     4.5 bits per weight.
// Stored are q + 8: weight i < 16 in the low half of byte i, weight i + 16 in its high half.
namespace quern {
namespace {

struct Block {
    Half d;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>((codes[i] & 15) - 8);
            v[i + 16] = static_cast<std::int8_t>((codes[i] >> 4) - 8);
        }
    }
    void set(int i, int v) { setNibble(codes, i, v + 8); }
    void pack(const std::int8_t* v) { packNibbles(codes, v, 8); }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -8, 7)); }
    void fit(const Sample& sample) { d = fitScale(sample, {-8, 7}); }
    void setGrid(const Grid& grid) { d = finiteHalf(grid.scale); }
    static AlikeGrids fitAlike(std::span<const float> x) { return scalesOfAlike(x, 15); }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat q4_0;
constinit const BlockFormat q4_0 {.name = "Q4_0",
                                  .id = 2,
                                  .values = Block::kValues,
                                  .bytes = sizeof(Block),
                                  .encode = encodeSmallBlocks<Block>,
                                  .decode = decodeBlocks<Block>,
                                  .place = placeCode<Block>};

} // namespace quern
