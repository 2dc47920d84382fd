#pragma once

#include "core/codec.h"
#include "core/lanes.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace quern {

// Blocks that are searched one at a time: codebooks, and what has few parameters to choose from (core/search.h searches
// all others, many blocks at once).
constexpr int kLargestBlock = 256;

// Values and their weights, scaled by a power of two so that the largest value is in [1, 2): sums of squares neither
// overflow nor vanish. Allocates for whole rows only.
class Sample {
public:
    // importance: as many as values, or empty: all ones. All zero counts as all ones.
    Sample(std::span<const float> values, std::span<const float> importance);
    Sample(const Sample&) = delete;
    Sample& operator=(const Sample&) = delete;
    // The part of `fit.importance` that belongs to values [first, first + n).
    static std::span<const float> part(const Fit& fit, std::size_t first, std::size_t n);

    int count;               // of values
    float unit;              // values are x * unit
    bool uniform;            // no importance was given
    const float *x, *w, *wx; // count each; w: at most 1; wx: w * x

private:
    std::array<float, 3 * kLargestBlock> m_block;
    std::vector<float> m_row;
};

// Rounds to a block's grids.
template <typename Block>
void roundInto(Block& block, const float* x)
{
    for (int g = 0; g < Block::kValues / Block::kGroup; ++g) {
        const Grid grid = block.grid(g);
        const float codesPerUnit = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
        for (int i = g * Block::kGroup; i < (g + 1) * Block::kGroup; ++i)
            block.set(i, Block::nearest((x[i] - grid.offset) * codesPerUnit));
    }
}

// Encodes by Block::fit(const Sample&), which sets all parameters of a block of zeros; codes follow from the grids.
template <typename Block>
void encodeBlocks(const BlockFormat&, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    auto* block = reinterpret_cast<Block*>(bytes);
    for (std::size_t c = 0; c < x.size(); c += Block::kValues, ++block) {
        std::memset(block, 0, sizeof(Block));
        block->fit(Sample(x.subspan(c, Block::kValues), Sample::part(fit, c, Block::kValues)));
        roundInto(*block, x.data() + c);
    }
}

} // namespace quern
