#pragma once

#include "core/fit.h"

#include <array>
#include <cstdint>
#include <span>

namespace quern {

// Which codewords are worth having, for a few weights and any scale.
//
// Under the scale a > 0 a codeword of magnitudes m, with the signs of the weights x, misses them by
//     sum w (|x| - a m)^2 = sum w x^2 + a (a q - 2 p),     p = sum w |x| m,  q = sum w m^2.
// p and q do not depend on a: the best codeword for every a is the lower envelope of the lines a q - 2 p, which few of
// hundreds of codewords touch. A sign that has to be turned takes 2 w |x| m from p, whatever the scale.

// p and q of all codewords; their number is a multiple of 64.
struct Moments {
    std::span<const float> p, q;
};

// Scales between which a search may end; 0 < low < high, or both 0.
struct ScaleBounds {
    float low = 0, high = 0;
};

// The codewords of least error at any scale within bounds, exactly; outside of them those of the nearest bound.
struct Shortlist {
    static constexpr int kMost = 48;

    int count = 0;
    std::array<float, kMost> p, q;
    std::array<std::uint16_t, kMost> code;

    void add(float itsP, float itsQ, int itsCode);
};

// The codeword of least a q - 2 p; the first of several.
int bestCodeword(const Moments& moments, float scale);

// Adds to the list what belongs there, as codes first, first + 1, ...
void shorten(const Moments& moments, const ScaleBounds& bounds, int first, Shortlist& list);

// What is coded together: parts that lie side by side, in one of several ways. Lists: all parts of the first way, then
// those of the next.
struct Unit {
    static constexpr int kParts = 4, kWays = 2;

    int parts = 1, ways = 1;
    const Shortlist* lists = nullptr; // parts * ways
};

// What a unit becomes.
struct UnitCodes {
    int way = 0;
    std::array<std::uint16_t, Unit::kParts> code {}; // of each part
};
UnitCodes bestCodes(const Unit& unit, float scale);

// x = d * unit * (2 s[g] + 1) * sign * magnitude for groups of the same number of units, s in [0, steps - 1]. Steps: at
// most 16.
struct Ladder {
    float unit; // of scales, for d = 1
    int steps;
};
struct LadderFit {
    float d = 0;              // a half
    std::array<int, 16> s {}; // by group
    float scale(std::size_t group, const Ladder& ladder) const
    {
        return d * ladder.unit * static_cast<float>(2 * s[group] + 1);
    }
};
// d is in units of the weights, as in core/fit.h; bounds: by group, in units of the sample.
LadderFit fitLadder(std::span<const Unit> units, std::span<const ScaleBounds> bounds, const Ladder& ladder,
                    float sampleUnit);

// A codebook's magnitudes: the lowest, about the root of their mean square, the highest.
struct Levels {
    float low, middle, top;
};
// Where the scale of a group may lie.
ScaleBounds scaleBounds(const Sample& sample, int first, int count, const Levels& levels);

} // namespace quern
