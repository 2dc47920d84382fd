#include "core/fit.h"
#include "core/iq4.h"

// IQ4_NL: 32 weights, one scale, of either sign.     x = d * table[q],  q in [0, 15].     4.5 bits per weight.
// Codes lie as in Q4_0.
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
        for (int i = 0; i < 32; ++i)
            v[i] = kIq4Values[nibble(codes, i)];
    }
    void set(int i, int v) { setNibble(codes, i, nearestIq4(static_cast<float>(v))); }
    static int nearest(float t) { return kIq4Values[nearestIq4(t)]; }
    void fit(const Sample& sample) { d = fitScale(sample, kIq4Codes); }
};
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat iq4_nl;
constinit const BlockFormat iq4_nl = formatOf<Block>("IQ4_NL", 20, encodeBlocks<Block>);

} // namespace quern
