#include "core/smallblocks.h"

// Q5_1: 32 weights, a scale and a minimum.     x = d * q + m,  q in [0, 31].     6 bits per weight.
namespace quern {
namespace {

using Block = ShiftedBlock<FiveBits>;
static_assert(sizeof(Block) == 24);

} // namespace

extern const BlockFormat q5_1;
constinit const BlockFormat q5_1 = formatOf<Block>("Q5_1", 7, encodeTiles<Block>);

} // namespace quern
