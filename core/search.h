#pragma once

#include "core/codec.h"
#include "core/tile.h"

namespace quern {

// The search for the parameters of blocks: what every encoder uses.
//
// Given codes q, the best scale and offset of a group are a weighted least-squares problem in closed form; given scale
// and offset, the best codes are the nearest ones. Starts are judged by what their codes come to once scale and offset
// are refitted to them, and the best one is refined. 16 groups are searched side by side, all with the same starts.

// Results: one for every group or block of the tile, in units of the values, scales and offsets rounded to halves.
template <typename Parameters>
using ForEach = std::array<Parameters, kLanes>;

// x = scale * code
ForEach<Grid> findScales(const Tile& tile, const Codes& codes, Effort effort);

// x = scale * code + offset. Centres the tile.
ForEach<Grid> findGrids(Tile& tile, const Codes& codes, Effort effort);

// x = scale * (code - zero), codes in [0, top], the integer zero among them. For a single group; loads it into the
// tile.
struct ZeroGrid {
    float scale = 0;
    int zero = 0;
};
ZeroGrid findZero(Tile& tile, std::span<const float> x, std::span<const float> importance, int top, Effort effort);

// Groups of a block with a common d, and a common dmin:     x = d * scale[g] * code - dmin * minimum[g]
struct SharedGrids {
    float d = 0, dmin = 0;
    std::array<int, 16> scale {}, minimum {};
};
// Without minima; scales may be below 0.
ForEach<SharedGrids> findSharedScales(const Tile& tile, const Codes& codes, const SharedRange& range, Effort effort);
// With minima; range.low is 0. Centres the tile.
ForEach<SharedGrids> findSharedGrids(Tile& tile, const Codes& codes, const SharedRange& range, Effort effort);

} // namespace quern
