#pragma once

#include "core/groupfit.h"

#include <algorithm>

namespace quern {

// Rounds to a block's grids, whose scales are 0 or at least the smallest half, and packs.
template <typename Block>
void roundBlock(Block& block, const float* x)
{
    std::array<std::int8_t, Block::kValues> codes;
    for (int g = 0; g < Block::kValues / Block::kGroup; ++g) {
        const Grid grid = block.grid(g);
        const Floats codesPerUnit = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
        for (int i = g * Block::kGroup; i < (g + 1) * Block::kGroup; i += kLanes) {
            const Floats at = (Floats::load(x + i) - grid.offset) * codesPerUnit;
            storeBytes(Block::kCodes.iq4 ? Iq4::nearest(at) : nearestWithin(at, Block::kCodes.low, Block::kCodes.high),
                       codes.data() + i);
        }
    }
    block.pack(codes.data());
}

// Encodes as many blocks at once as fill the lanes of a tile. Block::find(Tile&, Effort), static, gives the parameters
// of each, block.setParameters stores them; codes follow from the grids.
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
        for (std::size_t b = 0; b < piece.size() / Block::kValues; ++b, ++block) {
            std::memset(block, 0, sizeof(Block));
            block->setParameters(parameters[b]);
            roundBlock(*block, piece.data() + b * Block::kValues);
        }
    }
}

} // namespace quern
