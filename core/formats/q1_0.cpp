#include "core/fit.h"
#include "core/trial.h"

// Q1_0: 128 weights, one scale.     x = d or -d.     1.125 bits per weight.
// Bit i % 8 of byte i / 8: 1 is d.
namespace quern {
namespace {

struct Block {
    Half d;
    std::uint8_t bits[16];

    static constexpr int kValues = 128, kGroup = 128;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < kValues; ++i)
            v[i] = static_cast<std::int8_t>((bits[i / 8] >> (i % 8) & 1) * 2 - 1);
    }
    void set(int i, int v) { setBits(bits[i / 8], i % 8, 1, v > 0 ? 1 : 0); }
    static int nearest(float t) { return t < 0.0f ? -1 : 1; }
    // Signs are given, so the best d is the weighted mean of magnitudes.
    void fit(const Sample& sample)
    {
        const float weights = sum(sample.count, [&](int i) { return sample.w[i]; });
        const float magnitudes = sum(sample.count, [&](int i) { return std::abs(sample.wx[i]); });
        d = finiteHalf(magnitudes / weights * sample.unit);
    }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat q1_0;
constinit const BlockFormat q1_0 = formatOf<Block>("Q1_0", 41, encodeBlocks<Block>);

} // namespace quern
