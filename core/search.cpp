#include "core/search.h"

#include "core/groupfit.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace quern {
namespace {

// Where searches start, by 2, 3, ... 8 bits of codes.
struct Starts {
    float span;   // of the codes in standard deviations, best for a normal distribution (J. Max, 1960, table II)
    float inside; // how far inside the outermost code the farthest value may come to lie, as a share of it
    float beyond; // and how many times beyond, where it may weigh little
};
constexpr std::array<Starts, 7> kStarts {{{3.98f, 0.95f, 3.5f},
                                          {4.69f, 0.95f, 2.4f},
                                          {5.36f, 0.95f, 1.5f},
                                          {6.02f, 0.95f, 1.28f},
                                          {6.66f, 0.9f, 1.25f},
                                          {7.28f, 0.9f, 1.15f},
                                          {7.88f, 0.97f, 1.1f}}};

const Starts& startsFor(int levels)
{
    const int bits = std::bit_width(static_cast<unsigned>(levels - 1));
    return kStarts[static_cast<std::size_t>(std::clamp(bits - 2, 0, 6))];
}

Floats squareRoots(const Floats& x)
{
    std::array<float, kLanes> roots;
    x.store(roots.data());
    for (float& v : roots)
        v = std::sqrt(v);
    return Floats::load(roots.data());
}

// Weighted standard deviation; from 0 where the tile is not centred.
Floats spreadOf(const Tile& tile)
{
    Floats squares = 0.0f;
    for (int i = 0; i < tile.count; ++i)
        squares += tile.wx[i] * tile.x[i];
    return squareRoots(groupSum(tile, squares) / tile.sumW);
}

// Refitted to its codes a scale is sum w x q / sum w q^2, and lowers the error by (sum w x q)^2 / sum w q^2.
struct BestCodes {
    Floats xq = 0.0f, qq = 1.0f;

    void offer(const CodeSums& sums)
    {
        const Mask better = sums.xq * sums.xq * qq > xq * xq * sums.qq;
        xq = select(better, sums.xq, xq);
        qq = select(better, sums.qq, qq);
    }
    Floats scale() const { return xq / qq; }
    Floats inverse() const { return select(xq == Floats(0.0f), 0.0f, qq / xq); }
};

float reciprocal(float x)
{
    return x == 0.0f ? 0.0f : 1.0f / x;
}

template <typename CodeSet>
int startsEachWay(const Tile& tile, const CodeSet& codes, Effort effort)
{
    if (effort == Effort::Fast)
        return 2;
    if (tile.whole)
        return 10;
    if (tile.uniform)
        return CodeSet::kEven && codes.levels() <= 32 ? 3 : 5;
    return !CodeSet::kEven ? 9 : 6;
}

// From the farthest value, both ways round, which is near the best scale as long as all weigh alike; if they do not, a
// far value that matters little is no measure, and starts reach out, and begin at the spread too. So do those of large
// groups, whose farthest values are few. Against the exact optimum (tests/core/exactscale.h) 4 bits come to 1.006
// without and 1.008 with importance, 5 bits to 1.02 and 1.03, on normal groups of 32; less on Laplace and Student.
template <typename CodeSet>
BestCodes coarseScales(const Tile& tile, const CodeSet& codes, Effort effort)
{
    const float perLow = reciprocal(codes.low), perHigh = reciprocal(codes.high);
    const Floats straight = larger(tile.ends.low * perLow, tile.ends.high * perHigh);
    const Floats turned = smaller(tile.ends.high * perLow, tile.ends.low * perHigh);
    const Starts& starts = startsFor(codes.levels());
    const bool alike = tile.uniform && !tile.whole, mirrored = codes.low == -codes.high;
    const float inside = CodeSet::kEven ? starts.inside : 0.87f;
    BestCodes best;
    Floats beyond = alike ? 1.0f + 0.2f * (starts.beyond - 1.0f) : starts.beyond;
    if (!alike) {
        const Floats spread = spreadOf(tile) * (starts.span / (codes.high - codes.low));
        best.offer(sumsOf(tile, codes, inverseOf(spread)));
        if constexpr (!CodeSet::kEven) // else the other way round differs in the outermost code alone
            best.offer(sumsOf(tile, codes, -inverseOf(spread)));
        if (tile.whole)
            beyond = larger(beyond, 1.5f * straight * inverseOf(spread));
    }
    const auto offer = [&](const Floats& inverse) { best.offer(sumsOf(tile, codes, inverse)); };
    const Floats inverse = inverseOf(straight), turnedInverse = inverseOf(turned);
    const int n = startsEachWay(tile, codes, effort);
    for (int k = 0; k < n; ++k) {
        const float share = static_cast<float>(k) / static_cast<float>(n - 1);
        const Floats at = inside + (beyond - inside) * (alike ? share : 0.5f * share * (1.0f + share));
        offer(inverse * at);
        if (!mirrored) // else the other way round is the same
            offer(turnedInverse * at);
    }
    return best;
}

// Refits to the codes and, for single weighted groups, tries both sides. Refitting small groups again lowers the error
// by 0.1 %.
template <typename CodeSet>
BestCodes refinedScales(const Tile& tile, const CodeSet& codes, bool fine, Effort effort)
{
    BestCodes best = coarseScales(tile, codes, effort);
    for (int round = 0; round < (tile.whole ? 3 : 1); ++round)
        best.offer(sumsOf(tile, codes, best.inverse()));
    if (fine && !tile.uniform && effort == Effort::Best) {
        const Floats at = best.inverse();
        for (const float around : {0.98f, 1.02f})
            best.offer(sumsOf(tile, codes, at * around));
    }
    return best;
}

// Weighted codes of the best start: refitted, their error is lower by gain / share than without a scale.
struct BestGrid {
    const Tile& tile;
    bool belowZero;
    Floats gain, share = 1.0f;
    CodeSums best {0.0f, 1.0f, 0.0f};

    // Without codes all values become their mean, or 0 where the mean may not be an offset.
    BestGrid(const Tile& t, bool below)
        : tile(t)
        , belowZero(below)
        , gain(below ? select(t.mean > 0.0f, -(t.sumW * t.mean * t.mean), 0.0f) : Floats(0.0f))
    {
    }

    void offer(const CodeSums& sums)
    {
        const Floats determinant = determinantOf(sums);
        Floats newGain = sums.xq * larger(sums.xq, 0.0f), newShare = select(determinant > 0.0f, determinant, HUGE_VALF);
        if (belowZero) {
            const Floats throughZero = sums.xq + tile.mean * sums.q;
            const Mask above = isAbove(sums, determinant);
            newGain = select(above, throughZero * throughZero - tile.sumW * tile.mean * tile.mean * sums.qq, newGain);
            newShare = select(above, sums.qq, newShare);
        }
        const Mask better = newGain * share > gain * newShare;
        gain = select(better, newGain, gain);
        share = select(better, newShare, share);
        best.q = select(better, sums.q, best.q);
        best.qq = select(better, sums.qq, best.qq);
        best.xq = select(better, sums.xq, best.xq);
    }
    // Its offset is that of centred values.
    GroupGrids refitted() const
    {
        const Floats code = best.q / tile.sumW, determinant = determinantOf(best);
        Floats scale = select(determinant > 0.0f, best.xq / determinant, 0.0f), offset = -(scale * code);
        if (belowZero) {
            const Mask above = isAbove(best, determinant);
            scale = select(above, larger((best.xq + tile.mean * best.q) / best.qq, 0.0f), scale);
            offset = select(above, -tile.mean, offset);
        }
        return {scale, offset, code};
    }

private:
    // Of the normal equations, over sumW; 0 where all codes are the same but for rounding.
    Floats determinantOf(const CodeSums& sums) const
    {
        const Floats determinant = sums.qq - sums.q * sums.q / tile.sumW;
        return select(determinant > 1e-6f * sums.qq, determinant, 0.0f);
    }
    // Whether the offset, mean - scale * q / sumW, would come to lie above 0.
    Mask isAbove(const CodeSums& sums, const Floats& determinant) const
    {
        const Floats offset = tile.mean * determinant * tile.sumW - sums.xq * sums.q; // times something positive
        return select(determinant > 0.0f, offset, tile.mean) > Floats(0.0f);
    }
};

// Both ends of the range moved outwards by 0.5 and inwards by up to 1.5 times the mean distance of codes, or where a
// normal distribution as wide as the values wants them.
void offerRanges(const Tile& tile, const Integers& codes, bool fine, Effort effort, BestGrid& best)
{
    Extremes ends = tile.ends;
    if (best.belowZero)
        ends.add(-tile.mean);
    const int n = effort == Effort::Fast ? 2 : fine ? 5 : 3; // starts for each end
    const Floats width = (ends.high - ends.low) / (codes.high + 1.0f);
    const auto moved = [&](int k) { return width * (0.5f * static_cast<float>(fine ? k - 1 : k)); };
    for (int up = 0; up < n; ++up)
        for (int down = 0; down < n; ++down) {
            const Floats from = ends.low + moved(up), to = ends.high - moved(down);
            best.offer(sumsOf(tile, codes, inverseOf((to - from) / codes.high), from));
        }
    if (!tile.uniform) {
        const Floats span = spreadOf(tile) * startsFor(codes.levels()).span;
        best.offer(sumsOf(tile, codes, inverseOf(span / codes.high), span * -0.5f));
    }
}

// A little wider, narrower, up and down, all about the mean code.
void offerAround(const Tile& tile, const Integers& codes, BestGrid& best)
{
    const GroupGrids at = best.refitted();
    for (const float wider : {0.975f, 1.0f, 1.025f})
        for (const float up : {-0.25f, 0.0f, 0.25f}) {
            const Floats scale = at.scale * wider;
            best.offer(sumsOf(tile, codes, inverseOf(scale), at.offset + (at.scale - scale) * at.code + scale * up));
        }
}

} // namespace

Floats bestScales(const Tile& tile, const Codes& codes, bool fine, Effort effort)
{
    return withCodes(codes, [&](const auto& set) { return refinedScales(tile, set, fine, effort).scale(); });
}

GroupGrids bestGrids(const Tile& tile, const Codes& codes, bool belowZero, bool fine, Effort effort)
{
    const Integers integers {codes.low, codes.high};
    BestGrid best {tile, belowZero};
    offerRanges(tile, integers, fine, effort, best);
    const GroupGrids refit = best.refitted();
    best.offer(sumsOf(tile, integers, inverseOf(refit.scale), refit.offset));
    if (fine && effort == Effort::Best)
        offerAround(tile, integers, best);
    GroupGrids grids = best.refitted();
    grids.offset += tile.mean;
    return grids;
}

namespace {

ForEach<Grid> stored(const Tile& tile, const Floats& scales, const Floats& offsets)
{
    const Floats scale = finiteHalves(scales * tile.unit), offset = finiteHalves(offsets * tile.unit);
    ForEach<Grid> grids;
    for (std::size_t g = 0; g < kLanes; ++g)
        grids[g] = {scale[g], offset[g]};
    return grids;
}

} // namespace

ForEach<Grid> findScales(const Tile& tile, const Codes& codes, Effort effort)
{
    return stored(tile, bestScales(tile, codes, true, effort), 0.0f);
}

ForEach<Grid> findGrids(Tile& tile, const Codes& codes, Effort effort)
{
    tile.centre();
    const GroupGrids fit = bestGrids(tile, codes, false, !tile.uniform, effort);
    return stored(tile, fit.scale, fit.offset);
}

// Tries the zeros around that of a free offset.
ZeroGrid findZero(Tile& tile, std::span<const float> x, std::span<const float> importance, int top, Effort effort)
{
    const auto steps = static_cast<float>(top);
    tile.loadWhole(x, importance);
    tile.centre();
    const GroupGrids start = bestGrids(tile, {0.0f, steps}, false, true, effort);
    const int middle = static_cast<int>((nearestWithin(-start.offset * inverseOf(start.scale), 0.0f, steps))[0]);
    tile.loadWhole(x, importance);
    ZeroGrid found;
    float mostGain = -1.0f;
    for (int zero = std::max(middle - 2, 0); zero <= std::min(middle + 2, top); ++zero) {
        const Integers codes {static_cast<float>(-zero), static_cast<float>(top - zero)};
        const BestCodes best = refinedScales(tile, codes, true, effort);
        const float gain = best.scale()[0] * best.xq[0];
        if (gain > mostGain) {
            mostGain = gain;
            found = {finiteHalf(best.scale()[0] * tile.unit[0]), zero};
        }
    }
    return found;
}

} // namespace quern
