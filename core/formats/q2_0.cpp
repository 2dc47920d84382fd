#include "core/fit.h"

// Q2_0: 64 weights, one scale.     x = d * (q - 1),  q in [0, 3].     2.25 bits per weight.
// Two bits at 2 * (i % 4) of byte i / 4.
namespace quern {
namespace {

struct Block {
    Half d;
    std::uint8_t codes[16];

    static constexpr int kValues = 64, kGroup = 64;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < kValues; ++i)
            v[i] = static_cast<std::int8_t>((codes[i / 4] >> (i % 4 * 2) & 3) - 1);
    }
    void set(int i, int v) { setBits(codes[i / 4], i % 4 * 2, 3, v + 1); }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -1, 2)); }
    void fit(const Sample& sample) { d = fitScale(sample, {-1, 2}); }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat q2_0;
constinit const BlockFormat q2_0 = formatOf<Block>("Q2_0", 42, encodeBlocks<Block>);

} // namespace quern
