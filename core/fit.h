#pragma once

#include "core/alike.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace quern {

// The search for the parameters of blocks: what every encoder with importance uses.
//
// Given codes q, the best scale and offset of a group are a weighted least-squares problem in closed form; given scale
// and offset, the best codes are the nearest ones. The two alternate from a set of starts, and the best end is taken.
// Starts lie side by side in lanes, so that compilers make one vector operation of them and results do not depend on
// how long vectors are.
constexpr int kLanes = 16;
constexpr int kLargestBlock = 256;

// What a code can stand for: the integers from low to high, or the 16 values of IQ4.
struct Codes {
    float low, high;
    bool iq4 = false;
};
constexpr Codes kIq4Codes {-127, 113, true};

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

// Results are in units of the values, and halves: scales are rounded before they are compared.

// x = scale * code
float fitScale(const Sample& sample, const Codes& codes);

// x = scale * code + offset, codes in [0, top]
Grid fitGrid(const Sample& sample, int top);

// x = scale * (code - zero), codes in [0, top], the integer zero among them
struct ZeroFit {
    float scale = 0;
    int zero = 0;
};
ZeroFit fitZero(const Sample& sample, int top);

// x = d * scale[g] * code for groups g of `group` values; scale in [low, high]
struct ScaleSet {
    float d = 0;
    std::array<int, 16> scale {};
};
struct ScaleRange {
    int low, high;
};
ScaleSet fitScales(const Sample& sample, int group, const Codes& codes, ScaleRange range);

// x = d * scale[g] * code - dmin * minimum[g], codes in [0, top], scale and minimum in [0, high]
struct GridSet {
    float d = 0, dmin = 0;
    std::array<int, 16> scale {}, minimum {};
};
GridSet fitGrids(const Sample& sample, int group, int top, int high);

// Rounds to a block's grids, whose scales are 0 or at least the smallest half, and packs.
template <typename Block>
void roundBlock(Block& block, const float* x)
{
    std::array<std::int8_t, Block::kValues> codes;
    for (int g = 0; g < Block::kValues / Block::kGroup; ++g) {
        const Grid grid = block.grid(g);
        const float codesPerUnit = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
        const float* in = x + g * Block::kGroup;
        std::int8_t* out = codes.data() + g * Block::kGroup;
        for (int i = 0; i < Block::kGroup; ++i)
            out[i] = static_cast<std::int8_t>(Block::nearest((in[i] - grid.offset) * codesPerUnit));
    }
    if constexpr (requires { block.pack(codes.data()); })
        block.pack(codes.data());
    else
        for (int i = 0; i < Block::kValues; ++i)
            block.set(i, codes[static_cast<std::size_t>(i)]);
}

// Encodes by Block::fit(const Sample&), which sets all parameters of a block of zeros; codes follow from the grids.
template <typename Block>
void encodeBlocks(const BlockFormat&, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    auto* block = reinterpret_cast<Block*>(bytes);
    for (std::size_t c = 0; c < x.size(); c += Block::kValues, ++block) {
        std::memset(block, 0, sizeof(Block));
        block->fit(Sample(x.subspan(c, Block::kValues), Sample::part(fit, c, Block::kValues)));
        roundBlock(*block, x.data() + c);
    }
}

// The same for blocks with a single grid, Block::setGrid(Grid); where all weights count alike, many blocks at once by
// Block::fitAlike(std::span<const float>).
template <typename Block>
void encodeSmallBlocks(const BlockFormat& format, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    if (!fit.importance.empty())
        return encodeBlocks<Block>(format, x, fit, bytes);
    auto* block = reinterpret_cast<Block*>(bytes);
    constexpr std::size_t kPiece = kAlikeBlocks * kAlikeValues;
    for (std::size_t first = 0; first < x.size(); first += kPiece) {
        const std::span<const float> piece = x.subspan(first, std::min(kPiece, x.size() - first));
        const AlikeGrids grids = Block::fitAlike(piece);
        for (std::size_t b = 0; b < piece.size() / kAlikeValues; ++b, ++block) {
            block->setGrid(grids[b]);
            roundBlock(*block, piece.data() + b * kAlikeValues);
        }
    }
}

} // namespace quern
