#include "core/groupfit.h"

#include <algorithm>
#include <cassert>
#include <cmath>

// Blocks whose groups share scales: every group gets, by its true error, integers near what it would like by itself;
// the common scales are refitted to the codes of all groups at once, and again.
namespace quern {
namespace {

using Values = std::array<float, kLanes>;

Values valuesOf(const Floats& lanes)
{
    Values x;
    lanes.store(x.data());
    return x;
}

// Integers of each group, the moments of their codes, and the error less that of all zeros.
struct Choice {
    Floats scale = 0.0f, minimum = 0.0f, q = 0.0f, qq = 0.0f, xq = 0.0f, cost = HUGE_VALF;

    void offer(const Choice& other)
    {
        const Mask better = other.cost < cost;
        for (Floats Choice::*part :
             {&Choice::scale, &Choice::minimum, &Choice::q, &Choice::qq, &Choice::xq, &Choice::cost})
            this->*part = select(better, other.*part, this->*part);
    }
};

// Weighted normal equations of d and dmin over a block.
struct Equations {
    float dd = 0, dm = 0, mm = 0, xd = 0, xm = 0;

    // d alone where no minimum is in use, or dmin would not come out above 0.
    void solve(float& d, float& dmin) const
    {
        const float determinant = dd * mm - dm * dm;
        const float newD = (xd * mm - xm * dm) / determinant, newMin = (xm * dd - xd * dm) / determinant;
        if (determinant > 0.0f && newMin > 0.0f) {
            d = newD;
            dmin = newMin;
        } else if (dd > 0.0f) {
            d = (xd - dmin * dm) / dd;
        }
    }
};

// What the blocks of a tile share, in the tile's units, and the best that was found.
class Blocks {
public:
    Blocks(const Tile& tile, int groups)
        : m_groups(static_cast<std::size_t>(groups))
        , m_unit(valuesOf(tile.unit))
        , m_mean(valuesOf(tile.mean))
        , m_weight(valuesOf(tile.weightUnit))
        , m_sumW(valuesOf(tile.sumW))
    {
        m_leastCost.fill(HUGE_VALF);
    }

    // All groups of a block get the one of largest magnitude, over `steps`; as halves keep it.
    Floats largest(const Floats& wanted, float steps, float factor) const
    {
        const Values all = valuesOf(wanted);
        Values result;
        for (std::size_t first = 0; first < kLanes; first += m_groups) {
            const float* begin = all.data() + first;
            const float top = *std::max_element(begin, begin + m_groups,
                                                [](float a, float b) { return std::abs(a) < std::abs(b); });
            std::fill_n(result.data() + first, m_groups, stored(top / steps * factor, first));
        }
        return Floats::load(result.data());
    }

    // Keeps what is better than before, block by block, and refits d and dmin.
    void take(const Choice& choice, Floats& d, Floats& dmin)
    {
        const Values scale = valuesOf(choice.scale), minimum = valuesOf(choice.minimum), q = valuesOf(choice.q),
                     qq = valuesOf(choice.qq), xq = valuesOf(choice.xq), cost = valuesOf(choice.cost);
        Values newD = valuesOf(d), newMin = valuesOf(dmin);
        assert(m_groups > 0);
        for (std::size_t first = 0; first < kLanes; first += m_groups) {
            Equations equations;
            float total = 0;
            for (std::size_t g = first; g < first + m_groups; ++g) {
                const float s = scale[g], m = minimum[g], w = m_weight[g];
                total += w * cost[g];
                equations.dd += w * s * s * qq[g];
                equations.dm -= w * s * m * q[g];
                equations.mm += w * m * m * m_sumW[g];
                equations.xd += w * s * (xq[g] + m_mean[g] * q[g]);
                equations.xm -= w * m * m_mean[g] * m_sumW[g];
            }
            SharedGrids& best = m_best[first / m_groups];
            if (total < m_leastCost[first]) {
                m_leastCost[first] = total;
                best.d = newD[first] * m_unit[first];
                best.dmin = newMin[first] * m_unit[first];
                for (std::size_t g = 0; g < m_groups; ++g) {
                    best.scale[g] = static_cast<int>(scale[first + g]);
                    best.minimum[g] = static_cast<int>(minimum[first + g]);
                }
            }
            equations.solve(newD[first], newMin[first]);
            std::fill_n(newD.data() + first, m_groups, stored(newD[first], first));
            std::fill_n(newMin.data() + first, m_groups, stored(newMin[first], first));
        }
        d = Floats::load(newD.data());
        dmin = Floats::load(newMin.data());
    }

    const ForEach<SharedGrids>& best() const { return m_best; }

private:
    float stored(float scale, std::size_t lane) const { return finiteHalf(scale * m_unit[lane]) / m_unit[lane]; }

    std::size_t m_groups;
    Values m_unit, m_mean, m_weight, m_sumW, m_leastCost;
    ForEach<SharedGrids> m_best {};
};

// Starts with the largest scale at the largest integer, then somewhat below it, which lowers errors by 0.2 to 0.4 %.
constexpr std::array<float, 2> kStarts {1.0f, 1.07f};
constexpr int kRounds = 2; // of choosing and refitting; a third lowers errors by 0.1 %

struct Refining {
    float steps; // the integer of largest magnitude
    int starts, rounds;

    Refining(float largest, int most, Effort effort)
        : steps(largest)
        , starts(effort == Effort::Fast ? 1 : most)
        , rounds(effort == Effort::Fast ? 1 : kRounds)
    {
    }
};

// choose(d, dmin) gives every group its best integers.
template <typename Choose>
ForEach<SharedGrids> refined(const Tile& tile, int groups, const GroupGrids& wanted, const Refining& how,
                             const Choose& choose)
{
    Blocks blocks(tile, groups);
    for (const float factor : std::span(kStarts).first(static_cast<std::size_t>(how.starts))) {
        Floats d = blocks.largest(wanted.scale, how.steps, factor);
        Floats dmin = blocks.largest(smaller(wanted.offset, 0.0f), -std::abs(how.steps), factor);
        for (int round = 0; round < how.rounds; ++round)
            blocks.take(choose(d, dmin), d, dmin);
    }
    return blocks.best();
}

// The integer nearest to t of those that leave room for `count` steps up to high.
Floats firstOf(const Floats& t, float low, float high, int count)
{
    const float last = high - static_cast<float>(count - 1);
    return nearestWithin(smaller(larger(t, low), last), low, last);
}

} // namespace

// Finer codes have more to gain from scales farther away: each rounds the weights in another way.
ForEach<SharedGrids> findSharedScales(const Tile& tile, const Codes& codes, const SharedRange& range, Effort effort)
{
    const GroupGrids wanted {bestScales(tile, codes, false, effort), 0.0f, 0.0f};
    const auto low = static_cast<float>(range.low), high = static_cast<float>(range.high);
    return withCodes(codes, [&](const auto& set) {
        const bool manyLevels = set.levels() > 32;
        const int reach = effort == Effort::Best && manyLevels ? 4 : 1;
        return refined(
            tile, range.groups, wanted, {low, manyLevels ? 1 : 2, effort}, [&](const Floats& d, const Floats&) {
                const Floats first
                    = firstOf(wanted.scale * inverseOf(d) - static_cast<float>(reach), low, high, 2 * reach + 1);
                Choice best;
                for (int s = 0; s <= 2 * reach; ++s) {
                    const Floats scale = first + static_cast<float>(s), step = scale * d;
                    const CodeSums sums = sumsOf(tile, set, inverseOf(step));
                    best.offer({scale, 0.0f, sums.q, sums.qq, sums.xq, step * (step * sums.qq - 2.0f * sums.xq)});
                }
                return best;
            });
    });
}

ForEach<SharedGrids> findSharedGrids(Tile& tile, const Codes& codes, const SharedRange& range, Effort effort)
{
    tile.centre();
    const Integers set {codes.low, codes.high};
    const GroupGrids wanted = bestGrids(tile, codes, true, true, effort);
    const auto high = static_cast<float>(range.high);
    const int count = effort == Effort::Fast ? 2 : 3; // of scales, and of minima for each
    const auto below = 0.5f * static_cast<float>(count - 1);
    return refined(tile, range.groups, wanted, {high, 2, effort}, [&](const Floats& d, const Floats& dmin) {
        const Floats firstScale = firstOf(wanted.scale * inverseOf(d) - below, 0.0f, high, count);
        const Floats perMinimum = inverseOf(dmin);
        Choice best;
        for (int s = 0; s < count; ++s) {
            const Floats scale = firstScale + static_cast<float>(s), step = scale * d, inverse = inverseOf(step);
            // A wider grid wants a lower start: its middle stays where it is.
            const Floats start = (step - wanted.scale) * wanted.code - wanted.offset;
            const Floats firstMinimum = firstOf(start * perMinimum - below, 0.0f, high, count);
            for (int m = 0; m < count; ++m) {
                const Floats minimum = firstMinimum + static_cast<float>(m), offset = -(dmin * minimum) - tile.mean;
                const CodeSums sums = sumsOf(tile, set, inverse, offset);
                const Floats cost = step * (step * sums.qq - 2.0f * sums.xq + 2.0f * offset * sums.q);
                best.offer({scale, minimum, sums.q, sums.qq, sums.xq, cost + offset * offset * tile.sumW});
            }
        }
        return best;
    });
}

} // namespace quern
