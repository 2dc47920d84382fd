#include "core/fp4.h"

// NVFP4: 64 weights in 4 groups.     x = E4M3(s) * E2M1(q).     4.5 bits per weight.
// s has no sign; 0x7F, not a number, counts as 0, as in ggml. Codes: 8 bytes a group, weight i < 8 in the low half of
// byte i, weight i + 8 in its high half. A scale of the whole tensor, where there is one, lies in a tensor of its own.
namespace quern {
namespace {

struct Block {
    std::uint8_t scales[4];
    std::uint8_t codes[32];

    static constexpr int kValues = 64, kGroup = 16;
    static constexpr bool kOffset = false;

    static float halfScale(int s) // as the table has twice the values
    {
        const int exponent = s >> 3 & 15, mantissa = s & 7;
        if (s == 0 || s == 0x7F)
            return 0.0f;
        const int times512 = exponent == 0 ? mantissa : (8 + mantissa) << (exponent - 1);
        return static_cast<float>(times512) * 0x1p-10f;
    }
    Grid grid(int g) const { return {halfScale(scales[g]), 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int g = 0; g < 4; ++g)
            for (int i = 0; i < 8; ++i) {
                v[16 * g + i] = kTwiceE2M1[codes[8 * g + i] & 15];
                v[16 * g + i + 8] = kTwiceE2M1[codes[8 * g + i] >> 4];
            }
    }
    void set(int i, int v) { setBits(codes[i / 16 * 8 + i % 8], i % 16 / 8 * 4, 15, codeOfTwiceE2M1(v)); }
    static int nearest(float t) { return static_cast<int>(Fp4::nearest(t)); }
    // Of the scale at which the largest magnitude is the largest code and its neighbours, eleven below and four above,
    // the one of least error.
    void fit(const Sample& sample)
    {
        for (int g = 0; g < 4; ++g) {
            const Group group(sample, kGroup * g, kGroup);
            const float largest = greatest(kGroup, 0.0f, [&](int i) { return std::abs(group.x[i]); });
            int s = 0;
            for (int step = 64; step > 0; step /= 2) // codes ascend with what they stand for
                if (s + step < 0x7F && halfScale(s + step) * Fp4::high <= largest * sample.unit)
                    s += step;
            const int first = std::clamp(s - 11, 0, 0x7F - kLanes);
            Trial trial;
            for (int c = 0; c < kLanes; ++c)
                trial.scale[static_cast<std::size_t>(c)] = halfScale(first + c) / sample.unit;
            evaluate(trial, group, Fp4 {});
            scales[g] = static_cast<std::uint8_t>(first + static_cast<int>(trial.best()));
        }
    }
};
static_assert(sizeof(Block) == 36);

} // namespace

extern const BlockFormat nvfp4;
constinit const BlockFormat nvfp4 = formatOf<Block>("NVFP4", 40, encodeBlocks<Block>);

} // namespace quern
