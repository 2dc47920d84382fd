#include "core/codec.h"
#include "core/fp4.h"

// MXFP4: 32 weights, a power of two.     x = 2^(e - 127) * E2M1(q).     4.25 bits per weight.
// Weight i < 16 in the low half of byte i, weight i + 16 in its high half. e = 255 is not a number and never written.
namespace quern {
namespace {

struct Block {
    std::uint8_t e;
    std::uint8_t codes[16];

    static constexpr int kValues = 32, kGroup = 32;
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
};
static_assert(sizeof(Block) == 17);

} // namespace

extern const BlockFormat mxfp4;
constinit const BlockFormat mxfp4 = formatOf<Block>("MXFP4", 39);

} // namespace quern
