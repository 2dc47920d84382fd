#include "core/smallblocks.h"

// Q4_0: 32 weights, symmetric, one scale, of either sign.     x = d * q,  q in [-8, 7].     4.5 bits per weight.
namespace quern {
namespace {

using Block = ScaledBlock<FourBits>;
static_assert(sizeof(Block) == 18);

} // namespace

extern const BlockFormat q4_0;
constinit const BlockFormat q4_0 = formatOf<Block>("Q4_0", 2, encodeTiles<Block>);

} // namespace quern
