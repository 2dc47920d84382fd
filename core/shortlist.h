#pragma once

#include "core/fit.h"
#include "core/wide.h"

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

// p and q of all codewords; their number is a multiple of kPiece.
constexpr std::size_t kPiece = 4 * kWidest;
struct Moments {
    std::span<const float> p, q;
};

// Scales between which a search may end; 0 < low < high, or both 0.
struct ScaleBounds {
    float low = 0, high = 0, ratio = 1; // ratio^3 = high / low
};

// The codewords of least error at any scale within bounds, exactly; outside of them those of the nearest bound.
struct Shortlist {
    static constexpr int kMost = 48;

    int count = 0;
    std::array<float, kMost> p, q;
    std::array<std::uint16_t, kMost> code;

    // Makes room where there is none. As few lines touch an envelope, the list hardly ever stays full.
    void add(float itsP, float itsQ, int itsCode, const ScaleBounds& bounds)
    {
        if (count == kMost)
            thin(bounds);
        if (count == kMost)
            return;
        const auto at = static_cast<std::size_t>(count++);
        p[at] = itsP;
        q[at] = itsQ;
        code[at] = static_cast<std::uint16_t>(itsCode);
    }
    // Leaves what is best at some scale within bounds.
    void thin(const ScaleBounds& bounds);
};

// A point that lines may pass above or below.
struct Point {
    float slope = 0, height = 0;
};

template <std::size_t Count>
void markBelow(const Wide& p, const Wide& q, const std::array<Point, Count>& points, WideIntegers& below)
{
    const Wide twice = p + p;
    below = WideIntegers {};
    for (const Point& point : points)
        below |= point.slope * q - twice < point.height;
}

// Calls use(i) for each codeword whose line passes below one of the points.
template <std::size_t Count, typename Use>
void forEachBelow(const Moments& moments, const std::array<Point, Count>& points, const Use& use)
{
    constexpr std::size_t kWides = kPiece / kWide;
    for (std::size_t i = 0; i < moments.p.size(); i += kPiece) {
        std::array<WideIntegers, kWides> below;
        for (std::size_t k = 0; k < kWides; ++k) {
            Wide p, q;
            load(p, moments.p.data() + i + k * kWide);
            load(q, moments.q.data() + i + k * kWide);
            markBelow(p, q, points, below[k]);
        }
        WideIntegers any = below[0];
        for (const WideIntegers& marks : below)
            any |= marks;
        std::array<std::uint64_t, kWide / 2> anyPairs;
        std::memcpy(&anyPairs, &any, sizeof(any));
        std::uint64_t found = 0;
        for (const std::uint64_t pair : anyPairs)
            found |= pair;
        if (found == 0)
            continue;
        for (std::size_t k = 0; k < kWides; ++k) {
            std::array<std::uint64_t, kWide / 2> pairs;
            std::memcpy(&pairs, &below[k], sizeof(pairs));
            for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
                if ((pairs[pair] & 1) != 0)
                    use(i + k * kWide + 2 * pair);
                if (pairs[pair] >> 63 != 0)
                    use(i + k * kWide + 2 * pair + 1);
            }
        }
    }
}

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
