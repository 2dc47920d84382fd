#pragma once

#include "core/blockformat.h"
#include "core/lanes.h"

#include <vector>

namespace quern {

struct Extremes {
    Floats low = 0.0f, high = 0.0f;

    void add(const Floats& x)
    {
        low = smaller(low, x);
        high = larger(high, x);
    }
};

// Values and their weights, laid out for the search of core/search.h: groups side by side, each in a lane of its own.
// A single large group can also fill all lanes, each with a part of it. Memory is allocated by the first load.
class Tile {
public:
    // group: values in a group, a multiple of 16; together: groups of a block, which are scaled alike.
    explicit Tile(int group = kLanes, int together = 1);
    Tile(const Tile&) = delete;
    Tile& operator=(const Tile&) = delete;

    // Up to 16 groups; lanes that are left over hold zeros. importance: as many as values, or empty: all ones. Where it
    // is 0 for all of a block, it counts as all ones there.
    void load(std::span<const float> values, std::span<const float> importance);
    // A single group of any length, over all lanes.
    void loadWhole(std::span<const float> values, std::span<const float> importance);
    // Moves every group's weighted mean to 0, for fits with an offset: far from 0 sums would lose their last digits.
    void centre();

    int count;                // values in a lane
    bool uniform;             // no importance was given: w is all ones, and not there
    bool whole;               // lanes hold parts of one group
    const Floats *x, *w, *wx; // count each; in units; wx = w * x
    Floats unit;              // of x: powers of two that bring the largest value of a block into [1, 2)
    Floats weightUnit; // of w, over the block's heaviest: powers of two that bring a group's heaviest into [1, 2)
    Floats sumW;       // of each group; whole: of the only one, in all lanes
    Floats mean;       // weighted, what centre() took away; else 0
    Extremes ends;     // of x; those of values that are not centred reach 0

private:
    void scale(const Extremes& values, const Extremes& weights);
    void fill(std::span<const float> from, Floats* to, Extremes& of) const;

    int m_group, m_together;
    std::vector<Floats> m_values;
};

// Sums over a group: lanes by themselves, or all of them together where they are one group.
inline Floats groupSum(const Tile& tile, const Floats& sums)
{
    return tile.whole ? Floats(folded(sums, [](float a, float b) { return a + b; })) : sums;
}

} // namespace quern
