#include "core/smallblocks.h"

// Q4_1: 32 weights, a scale and a minimum.     x = d * q + m,  q in [0, 15].     5 bits per weight.
namespace quern {
namespace {

using Block = ShiftedBlock<FourBits>;
static_assert(sizeof(Block) == 20);

} // namespace

extern const BlockFormat q4_1;
constinit const BlockFormat q4_1 = formatOf<Block>("Q4_1", 3, encodeTiles<Block>);

} // namespace quern
