#pragma once

#include "core/codec.h"

// The search of core/fit.h for blocks of 32 values that are all alike, without importance. Here blocks lie side by side
// in lanes, all with the same starts, and every start is refitted to its codes once.
namespace quern {

constexpr std::size_t kAlikeBlocks = 16, kAlikeValues = 32;
using AlikeGrids = std::array<Grid, kAlikeBlocks>;

// x: up to 16 blocks. Scales and offsets are not yet halves, and finite unless they leave the range of floats.
// x = scale * code, codes in [-(top + 1) / 2, top / 2]
AlikeGrids scalesOfAlike(std::span<const float> x, int top);
// x = scale * code + offset, codes in [0, top]
AlikeGrids gridsOfAlike(std::span<const float> x, int top);

} // namespace quern
