#include "core/smallblocks.h"

// Q5_0: 32 weights, symmetric, one scale, of either sign.     x = d * q,  q in [-16, 15].     5.5 bits per weight.
namespace quern {
namespace {

using Block = ScaledBlock<FiveBits>;
static_assert(sizeof(Block) == 22);

} // namespace

extern const BlockFormat q5_0;
constinit const BlockFormat q5_0 = formatOf<Block>("Q5_0", 6, encodeTiles<Block>);

} // namespace quern
