#pragma once

#include "core/lanes.h"
#include "core/stored.h"

#include <algorithm>
#include <cmath>

namespace quern {

// Scales of groups of vectors of a codebook, groups side by side in lanes.
//
// Under the scale a > 0 a codeword of magnitudes m, with the signs of the weights x, misses them by
//     sum w (|x| - a m)^2 = sum w x^2 + a (a q - 2 p),     p = sum w |x| m,  q = sum w m^2,
// with p and q that do not depend on a. Of the best codewords at a few scales one is nearly as good as any at the
// scales between, so scales are chosen among those codewords, and the codewords anew when the scales are known.
struct Sums {
    Floats p = 0.0f, q = 0.0f;

    void add(const Sums& others)
    {
        p += others.p;
        q += others.q;
    }
    Floats height(const Floats& scale) const { return scale * q - 2.0f * p; }
    void take(const Mask& where, const Sums& others)
    {
        p = select(where, others.p, p);
        q = select(where, others.q, q);
    }
};

inline float total(const Floats& lanes)
{
    return folded(lanes, [](float a, float b) { return a + b; });
}

// x = d * unit * (2 s + 1) * sign * magnitude with s in [0, steps - 1] by group.
struct Ladder {
    float unit; // of scales, for d = 1
    int steps;
};

// d is in units of the weights, as in core/fit.h, and a half; scales are in units of the sample.
struct LadderFit {
    float d = 0;
    Floats s = 0.0f;

    Floats odd() const { return s + s + 1.0f; }
    // d for codewords of these sums: the half that serves them best.
    float refitted(const Sums& sums, float perUnit) const
    {
        const float denominator = total(odd() * odd() * sums.q);
        return denominator > 0.0f ? finiteHalf(total(odd() * sums.p) / denominator / perUnit) : d;
    }
    float error(const Sums& sums, float perUnit) const
    {
        const Floats scale = d * perUnit * odd();
        return total(scale * sums.height(scale));
    }
};

// SumsAt: Sums of whole groups, in all lanes of each, under scales by lane.
template <typename SumsAt>
class LadderSearch {
public:
    // starts: scales to try for each group by itself.
    LadderSearch(const Ladder& ladder, float sampleUnit, const SumsAt& sumsAt)
        : m_ladder(ladder)
        , m_perUnit(ladder.unit / sampleUnit)
        , m_sumsAt(sumsAt)
    {
    }

    template <typename Starts>
    LadderFit fit(const Starts& starts)
    {
        m_own = ownScales(starts);
        const float largest = folded(m_own, [](float a, float b) { return std::max(a, b); });
        const float d = largest / (static_cast<float>(2 * m_ladder.steps - 1) * m_perUnit);
        for (const float share : {1.0f, 0.93f})
            from(finiteHalf(share * d));
        return m_best;
    }

private:
    // The best scale of each group by itself: of the starts, refitted to its codewords, and again.
    template <typename Starts>
    Floats ownScales(const Starts& starts) const
    {
        Floats most = 0.0f, scale = 0.0f;
        for (const Floats& start : starts) {
            const Sums sums = m_sumsAt(start);
            const Floats refitted = select(sums.q > Floats(0.0f), sums.p / sums.q, 0.0f), gain = sums.p * refitted;
            const Mask better = gain > most;
            most = select(better, gain, most);
            scale = select(better, refitted, scale);
        }
        const Sums sums = m_sumsAt(scale);
        return select(sums.p > Floats(0.0f), sums.p / sums.q, 0.0f);
    }

    // The best steps next to what groups want by themselves, d refitted to their codewords, and again.
    void from(float d)
    {
        constexpr int kRounds = 3;
        for (int round = 0; round < kRounds && d > 0.0f; ++round) {
            LadderFit fit {.d = d};
            const float refitted = choose(fit);
            if (refitted == d)
                break;
            d = refitted;
        }
    }
    float choose(LadderFit& fit)
    {
        const float step = fit.d * m_perUnit;
        const auto top = static_cast<float>(m_ladder.steps - 1);
        const Floats wanted = nearestWithin(0.5f * (m_own / step - 1.0f), 0.0f, top);
        Floats least = HUGE_VALF;
        Sums chosen;
        for (const float away : {0.0f, -1.0f, 1.0f}) {
            const Floats s = nearestWithin(wanted + away, 0.0f, top), scale = step * (s + s + 1.0f);
            const Sums sums = m_sumsAt(scale);
            const Floats error = scale * sums.height(scale);
            const Mask better = error < least;
            least = select(better, error, least);
            fit.s = select(better, s, fit.s);
            chosen.take(better, sums);
        }
        const float error = total(least);
        if (error < m_leastError) {
            m_leastError = error;
            m_best = fit;
        }
        return fit.refitted(chosen, m_perUnit);
    }

    Ladder m_ladder;
    float m_perUnit;
    const SumsAt& m_sumsAt;
    Floats m_own;
    LadderFit m_best;
    float m_leastError = HUGE_VALF;
};

} // namespace quern
