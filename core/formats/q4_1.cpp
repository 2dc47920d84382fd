#include "core/fit.h"

// Q4_1: 32 weights, a scale and a minimum.     x = d * q + m,  q in [0, 15].     5 bits per weight.
// Weight i < 16 in the low half of byte i, weight i + 16 in its high half.
namespace quern {
namespace {

struct Block {
    Half d, m;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = true;

    Grid grid(int) const { return {d, m}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>(codes[i] & 15);
            v[i + 16] = static_cast<std::int8_t>(codes[i] >> 4);
        }
    }
    void set(int i, int v) { setNibble(codes, i, v); }
    void pack(const std::int8_t* v) { packNibbles(codes, v, 0); }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, 0, 15)); }
    void fit(const Sample& sample) { setGrid(fitGrid(sample, 15)); }
    void setGrid(const Grid& grid)
    {
        d = finiteHalf(grid.scale);
        m = finiteHalf(grid.offset);
    }
    static AlikeGrids fitAlike(std::span<const float> x) { return gridsOfAlike(x, 15); }
};
static_assert(sizeof(Block) == 20);

} // namespace

extern const BlockFormat q4_1;
constinit const BlockFormat q4_1 {.name = "Q4_1",
                                  .id = 3,
                                  .values = Block::kValues,
                                  .bytes = sizeof(Block),
                                  .encode = encodeSmallBlocks<Block>,
                                  .decode = decodeBlocks<Block>,
                                  .place = placeCode<Block>};

} // namespace quern
