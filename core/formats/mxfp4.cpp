#include "core/fp4.h"

// MXFP4: 32 weights, a power of two.     x = 2^(e - 127) * E2M1(q).     4.25 bits per weight.
// Weight i < 16 in the low half of byte i, weight i + 16 in its high half. e = 255 is not a number and never written.
namespace quern {
namespace {

struct Block {
    std::uint8_t e;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr int kLargest = 252; // above, the largest codes leave the range of floats
    static constexpr bool kOffset = false;

    Grid grid(int) const // half the power of two, as the table has twice the values; subnormal for e < 2
    {
        const std::uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<std::uint32_t>(e - 1) << 23;
        return {std::bit_cast<float>(bits), 0.0f};
    }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < kValues; ++i)
            v[i] = kTwiceE2M1[nibble(codes, i)];
    }
    void set(int i, int v) { setNibble(codes, i, codeOfTwiceE2M1(v)); }
    static int nearest(float t) { return static_cast<int>(Fp4::nearest(t)); }
    // Of 16 powers of two, from the smallest that clips nothing downwards, the one of least error.
    void fit(const Sample& sample)
    {
        const Group whole(sample, 0, sample.count);
        const float largest = greatest(sample.count, 0.0f, [&](int i) { return std::abs(sample.x[i]); });
        int exponent = 0, unit = 0;
        std::frexp(largest / Fp4::high, &exponent);
        std::frexp(sample.unit, &unit);
        Trial trial;
        for (int c = 0; c < kLanes; ++c)
            trial.scale[static_cast<std::size_t>(c)] = std::ldexp(1.0f, exponent - c);
        evaluate(trial, whole, Fp4 {});
        const int best = exponent - static_cast<int>(trial.best()) + unit - 1; // half of what e stands for
        e = static_cast<std::uint8_t>(std::clamp(best + 128, 0, kLargest));
    }
};
static_assert(sizeof(Block) == 17);

} // namespace

extern const BlockFormat mxfp4;
constinit const BlockFormat mxfp4 = formatOf<Block>("MXFP4", 39, encodeBlocks<Block>);

} // namespace quern
