#pragma once

#include "core/groupfit.h"

#include <algorithm>

namespace quern {

// Rounds to a block's grids, whose scales are 0 or at least the smallest half.
template <typename Block>
void roundBlock(const Block& block, const float* x, std::int8_t* codes)
{
    for (int g = 0; g < Block::kValues / Block::kGroup; ++g) {
        const Grid grid = block.grid(g);
        const Floats codesPerUnit = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
        for (int i = g * Block::kGroup; i < (g + 1) * Block::kGroup; i += kLanes) {
            const Floats at = (Floats::load(x + i) - grid.offset) * codesPerUnit;
            storeBytes(Block::kCodes.iq4 ? Iq4::nearest(at) : nearestWithin(at, Block::kCodes.low, Block::kCodes.high),
                       codes + i);
        }
    }
}

template <typename Block>
void setGrids(Block& block, const Grid& grid)
{
    block.setParameters(grid);
}

template <typename Block>
void setGrids(Block& block, const SharedGrids& grids)
{
    block.setWhole({grids.d, -grids.dmin});
    for (int g = 0; g < Block::kSteps.groups; ++g)
        block.setSteps(g, grids.scale[static_cast<std::size_t>(g)], grids.minimum[static_cast<std::size_t>(g)]);
}

// Encodes as many blocks at once as fill the lanes of a tile. Block::find(Tile&, Effort), static, gives the parameters
// of each, which are stored by its setParameters, or setWhole and setSteps; codes follow from the grids.
template <typename Block>
void encodeTiles(const BlockFormat&, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    constexpr int kGroups = Block::kValues / Block::kGroup;
    constexpr std::size_t kPiece = kLanes / kGroups * Block::kValues;
    auto* block = reinterpret_cast<Block*>(bytes);
    Tile tile(Block::kGroup, kGroups);
    for (std::size_t first = 0; first < x.size(); first += kPiece) {
        const std::span<const float> piece = x.subspan(first, std::min(kPiece, x.size() - first));
        tile.load(piece, fit.importance.empty() ? fit.importance : fit.importance.subspan(first, piece.size()));
        const auto parameters = Block::find(tile, fit.effort);
        const std::size_t blocks = piece.size() / Block::kValues;
        std::array<std::int8_t, kPiece> codes;
        for (std::size_t b = 0; b < blocks; ++b) {
            std::memset(block + b, 0, sizeof(Block));
            setGrids(block[b], parameters[b]);
            roundBlock(block[b], piece.data() + b * Block::kValues, codes.data() + b * Block::kValues);
        }
        // Not at once: codes that were just stored in pieces cannot be loaded as longer ones without a wait.
        for (std::size_t b = 0; b < blocks; ++b, ++block)
            block->pack(codes.data() + b * Block::kValues);
    }
}

} // namespace quern
