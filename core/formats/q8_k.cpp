#include "core/codec.h"

// Q8_K: 256 weights, symmetric, a scale of 32 bits.     x = d * q,  q in [-128, 127].     9.125 bits per weight.
// ggml rounds activations to it while it multiplies; `sums` are the sums of 16 codes each.
namespace quern {
namespace {

struct Block {
    Stored<float> d;
    std::int8_t codes[256];
    Stored<std::int16_t> sums[16];

    static constexpr int kValues = 256, kGroup = 256;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const { std::memcpy(v, codes, sizeof(codes)); }
};
static_assert(sizeof(Block) == 292);

} // namespace

extern const BlockFormat q8_k;
constinit const BlockFormat q8_k = formatOf<Block>("Q8_K", 15);

} // namespace quern
