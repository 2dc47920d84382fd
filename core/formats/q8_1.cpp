#include "core/codec.h"

// Q8_1: 32 weights, symmetric.     x = d * q,  q in [-128, 127].     9 bits per weight.
// ggml rounds activations to it while it multiplies; `sum` is d times the sum of q, which products with Q4_1 need.
namespace quern {
namespace {

struct Block {
    Half d, sum;
    std::int8_t codes[32];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const { std::memcpy(v, codes, sizeof(codes)); }
};
static_assert(sizeof(Block) == 36);

} // namespace

extern const BlockFormat q8_1;
constinit const BlockFormat q8_1 = formatOf<Block>("Q8_1", 9);

} // namespace quern
