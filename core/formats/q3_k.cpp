#include "core/fit.h"

// Q3_K: 256 weights in 16 groups.     x = d * s * q,  q in [-4, 3], s in [-32, 31].     3.4375 bits per weight.
// q + 4: two bits as in Q2_K, the third of weight i in bit i / 32 of high[i % 32].
// s + 32 of group g: four bits in half g / 8 of scales[g % 8], two at 2 * (g / 4) of scales[8 + g % 4].
namespace quern {
namespace {

struct Block {
    std::uint8_t high[32];
    std::uint8_t codes[64];
    std::uint8_t scales[12];
    Half d;

    static constexpr int kValues = 256, kGroup = 16;
    static constexpr bool kOffset = false;

    Grid grid(int g) const
    {
        const int low = scales[g % 8] >> (g / 8 * 4) & 15, top = scales[8 + g % 4] >> (g / 4 * 2) & 3;
        return {d * static_cast<float>((low | top << 4) - 32), 0.0f};
    }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i) {
                const int low = codes[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
                v[32 * part + i] = static_cast<std::int8_t>((low | (high[i] >> part & 1) << 2) - 4);
            }
    }
    void set(int i, int v)
    {
        setBits(codes[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, v + 4);
        setBits(high[i % 32], i / 32, 1, (v + 4) >> 2);
    }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -4, 3)); }
    void fit(const Sample& sample)
    {
        const ScaleSet best = fitScales(sample, kGroup, {-4, 3}, {-32, 31});
        d = best.d;
        for (std::size_t g = 0; g < 16; ++g) {
            setBits(scales[g % 8], static_cast<int>(g / 8 * 4), 15, best.scale[g] + 32);
            setBits(scales[8 + g % 4], static_cast<int>(g / 4 * 2), 3, (best.scale[g] + 32) >> 4);
        }
    }
};
static_assert(sizeof(Block) == 110);

} // namespace

extern const BlockFormat q3_k;
constinit const BlockFormat q3_k = formatOf<Block>("Q3_K", 11, encodeBlocks<Block>);

} // namespace quern
