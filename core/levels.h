#pragma once

#include "core/blockformat.h"

namespace quern {

// Weights side by side in a row that share their levels: a sub-block with a scale of its own, the block, or the row.
long groupSize(const BlockFormat& format, long cols);

// The block that holds column `col` of an encoded row, and the column's place in it.
struct Place {
    std::span<const std::byte> block;
    int first;
};
Place placeOf(const BlockFormat& format, std::span<const std::byte> row, long col);

// Distances of neighbouring levels in the groups of encoded rows; for formats of group 1 that can place. Levels of all
// groups of a format lie alike, but for their scale and offset.
class LevelSteps {
public:
    LevelSteps(const BlockFormat& format, long cols);

    long group() const { return m_group; } // weights
    long groups() const { return (m_cols + m_group - 1) / m_group; }
    // out: groups() values of row `row` of the blocks: the mean distance; 0 where a group has one level only.
    void ofRow(std::span<const std::byte> blocks, long row, float* out);
    // The smallest distance of a group over its mean one; 1 as long as no group with levels has come by.
    float smallest() const { return m_smallest; }

private:
    void learn(std::span<const std::byte> block, int first);
    float extreme(int first, float x);

    const BlockFormat& m_format;
    long m_cols, m_group;
    std::size_t m_rowBytes;
    std::size_t m_levels = 0; // of any group that has more than one: all have as many
    float m_smallest = 1;
    std::vector<std::byte> m_block;
};

} // namespace quern
