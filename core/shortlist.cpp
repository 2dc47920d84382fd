#include "core/shortlist.h"

#include "core/trial.h"
#include "core/wide.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace quern {
namespace {

// For some scales at once, so that one's comparisons do not wait for another's.
template <std::size_t Scales>
std::array<int, Scales> bestCodewords(const Moments& moments, const std::array<float, Scales>& scale)
{
    std::array<Wide, Scales> least;
    std::array<WideIntegers, Scales> place {};
    for (Wide& lanes : least)
        fill(lanes, HUGE_VALF);
    for (std::size_t i = 0; i < moments.p.size(); i += kWide) {
        Wide twice, q;
        load(twice, moments.p.data() + i);
        load(q, moments.q.data() + i);
        twice += twice;
        WideIntegers at;
        count(at, static_cast<std::int32_t>(i));
        for (std::size_t s = 0; s < Scales; ++s) {
            const Wide height = scale[s] * q - twice;
            const WideIntegers better = height < least[s];
            least[s] = better ? height : least[s];
            place[s] = better ? at : place[s];
        }
    }
    std::array<int, Scales> best;
    for (std::size_t s = 0; s < Scales; ++s)
        best[s] = firstOfLeast(least[s], place[s]);
    return best;
}

// Where the lines of two codewords cross; far above all where they do not.
Point crossing(const Moments& moments, int a, int b)
{
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    const float difference = moments.q[i] - moments.q[j];
    if (!(difference > 0.0f))
        return {0.0f, -HUGE_VALF};
    const float slope = 2.0f * (moments.p[i] - moments.p[j]) / difference;
    const float height = slope * moments.q[i] - 2.0f * moments.p[i];
    constexpr float kRounding = 1e-6f;
    return {slope, height - kRounding * std::abs(height)};
}

constexpr std::size_t kSlopes = 4;

// Sums over the units of a group under 16 scales, each with its best codewords.
struct LadderTrial {
    alignas(64) Lanes scale {}, error {}, p {}, q {};

    std::size_t best() const { return static_cast<std::size_t>(std::ranges::min_element(error) - error.begin()); }
};

// Adds one part under its best codewords.
void addPart(const Shortlist& list, const Wide& scale, Wide& sumP, Wide& sumQ)
{
    Wide least, p {}, q {};
    fill(least, HUGE_VALF);
    for (std::size_t j = 0; j < static_cast<std::size_t>(list.count); ++j) {
        const Wide height = scale * list.q[j] - 2.0f * list.p[j];
        const WideIntegers better = height < least;
        p = better ? Wide {} + list.p[j] : p;
        q = better ? Wide {} + list.q[j] : q;
        least = better ? height : least;
    }
    sumP += p;
    sumQ += q;
}

void addUnit(const Unit& unit, const Wide& scale, Wide& sumP, Wide& sumQ)
{
    if (unit.ways == 1) {
        for (int part = 0; part < unit.parts; ++part)
            addPart(unit.lists[part], scale, sumP, sumQ);
        return;
    }
    Wide least, p {}, q {};
    fill(least, HUGE_VALF);
    for (int way = 0; way < unit.ways; ++way) {
        Wide itsP {}, itsQ {};
        for (int part = 0; part < unit.parts; ++part)
            addPart(unit.lists[way * unit.parts + part], scale, itsP, itsQ);
        const Wide height = scale * itsQ - 2.0f * itsP;
        const WideIntegers better = height < least;
        p = better ? itsP : p;
        q = better ? itsQ : q;
        least = better ? height : least;
    }
    sumP += p;
    sumQ += q;
}

void evaluate(std::span<const Unit> units, LadderTrial& trial)
{
    for (std::size_t c = 0; c < kLanes; c += kWide) {
        Wide scale, p {}, q {};
        load(scale, &trial.scale[c]);
        for (const Unit& unit : units)
            addUnit(unit, scale, p, q);
        store(&trial.p[c], p);
        store(&trial.q[c], q);
        store(&trial.error[c], scale * (scale * q - 2.0f * p));
    }
}

// The best scale of a group by itself: among 16 within bounds, then refitted to its codewords.
float bestScale(std::span<const Unit> units, const ScaleBounds& bounds)
{
    LadderTrial trial;
    const float ratio = bounds.low > 0.0f ? std::pow(bounds.high / bounds.low, 1.0f / (kLanes - 1)) : 1.0f;
    float scale = bounds.low;
    for (float& s : trial.scale) {
        s = scale;
        scale *= ratio;
    }
    evaluate(units, trial);
    for (std::size_t c = 0; c < kLanes; ++c)
        trial.error[c] = trial.q[c] > 0.0f ? -trial.p[c] * trial.p[c] / trial.q[c] : 0.0f;
    const std::size_t best = trial.best();
    return trial.q[best] > 0.0f ? std::max(trial.p[best] / trial.q[best], 0.0f) : 0.0f;
}

// The search for d and the integer scales of all groups.
class LadderSearch {
public:
    LadderSearch(std::span<const Unit> units, std::size_t groups, const Ladder& ladder, float sampleUnit)
        : m_units(units)
        , m_groups(groups)
        , m_ladder(ladder)
        , m_sampleUnit(sampleUnit)
    {
    }

    // From d on: the best integers, d refitted to their codewords, and again.
    void from(float d)
    {
        constexpr int kRounds = 3;
        for (int round = 0; round < kRounds; ++round) {
            LadderFit fit {.d = finiteHalf(d), .s = {}};
            const float refitted = choose(fit);
            if (finiteHalf(refitted) == fit.d)
                break;
            d = refitted;
        }
    }

    const LadderFit& best() const { return m_best; }

private:
    float choose(LadderFit& fit)
    {
        float error = 0, numerator = 0, denominator = 0;
        const float step = fit.d / m_sampleUnit * m_ladder.unit;
        LadderTrial trial;
        for (int c = 0; c < kLanes; ++c)
            trial.scale[static_cast<std::size_t>(c)]
                = step * static_cast<float>(2 * std::min(c, m_ladder.steps - 1) + 1);
        const std::size_t perGroup = m_units.size() / m_groups;
        for (std::size_t g = 0; g < m_groups; ++g) {
            evaluate(m_units.subspan(g * perGroup, perGroup), trial);
            const std::size_t best = trial.best();
            const auto steps = static_cast<float>(2 * best + 1);
            fit.s[g] = static_cast<int>(best);
            error += trial.error[best];
            numerator += steps * trial.p[best];
            denominator += steps * steps * trial.q[best];
        }
        if (error < m_leastError) {
            m_leastError = error;
            m_best = fit;
        }
        return denominator > 0.0f ? numerator / denominator / m_ladder.unit * m_sampleUnit : 0.0f;
    }

    std::span<const Unit> m_units;
    std::size_t m_groups;
    Ladder m_ladder;
    float m_sampleUnit;
    LadderFit m_best;
    float m_leastError = HUGE_VALF;
};

} // namespace

// Along the envelope, from each line to the one that crosses it first.
void Shortlist::thin(const ScaleBounds& bounds)
{
    Shortlist kept;
    const auto n = static_cast<std::size_t>(count);
    const auto height = [&](std::size_t i) { return bounds.low * q[i] - 2.0f * p[i]; };
    std::size_t at = 0;
    for (std::size_t i = 1; i < n; ++i)
        at = height(i) < height(at) ? i : at;
    for (float slope = bounds.low; slope <= bounds.high;) {
        kept.add(p[at], q[at], code[at], bounds);
        std::size_t next = at;
        float nearest = HUGE_VALF;
        for (std::size_t i = 0; i < n; ++i) {
            const float fall = q[at] - q[i];
            const float crossed = fall > 0.0f ? std::max(slope, 2.0f * (p[at] - p[i]) / fall) : HUGE_VALF;
            if (crossed < nearest || (crossed == nearest && q[i] < q[next])) {
                nearest = crossed;
                next = i;
            }
        }
        slope = nearest;
        at = next;
    }
    *this = kept;
}

int bestCodeword(const Moments& moments, float scale)
{
    return bestCodewords<1>(moments, {scale})[0];
}

void shorten(const Moments& moments, const ScaleBounds& bounds, int first, Shortlist& list)
{
    const float low = bounds.low, ratio = bounds.ratio;
    const std::array<int, kSlopes> found
        = bestCodewords<kSlopes>(moments, {low, low * ratio, low * ratio * ratio, bounds.high});
    const auto add = [&](std::size_t i) { list.add(moments.p[i], moments.q[i], first + static_cast<int>(i), bounds); };
    add(static_cast<std::size_t>(found[0]));
    std::array<Point, kSlopes - 1> corners;
    for (std::size_t i = 0; i < corners.size(); ++i) {
        corners[i] = crossing(moments, found[i], found[i + 1]);
        if (found[i + 1] != found[i])
            add(static_cast<std::size_t>(found[i + 1]));
    }
    forEachBelow(moments, corners, add);
}

UnitCodes bestCodes(const Unit& unit, float scale)
{
    UnitCodes best;
    float least = HUGE_VALF;
    for (int way = 0; way < unit.ways; ++way) {
        UnitCodes codes {.way = way, .code = {}};
        float error = 0;
        for (int part = 0; part < unit.parts; ++part) {
            const Shortlist& list = unit.lists[way * unit.parts + part];
            float itsLeast = HUGE_VALF;
            for (std::size_t j = 0; j < static_cast<std::size_t>(list.count); ++j) {
                const float height = scale * list.q[j] - 2.0f * list.p[j];
                if (height < itsLeast) {
                    itsLeast = height;
                    codes.code[static_cast<std::size_t>(part)] = list.code[j];
                }
            }
            error += itsLeast;
        }
        if (error < least) {
            least = error;
            best = codes;
        }
    }
    return best;
}

LadderFit fitLadder(std::span<const Unit> units, std::span<const ScaleBounds> bounds, const Ladder& ladder,
                    float sampleUnit)
{
    const std::size_t perGroup = units.size() / bounds.size();
    float largest = 0;
    for (std::size_t g = 0; g < bounds.size(); ++g)
        largest = std::max(largest, bestScale(units.subspan(g * perGroup, perGroup), bounds[g]));
    const float d = largest * sampleUnit / (static_cast<float>(2 * ladder.steps - 1) * ladder.unit);
    LadderSearch search(units, bounds.size(), ladder, sampleUnit);
    for (const float share : {1.0f, 0.93f})
        search.from(share * d);
    return search.best();
}

ScaleBounds scaleBounds(const Sample& sample, int first, int count, const Levels& levels)
{
    const Group group(sample, first, count);
    const float largest = greatest(count, 0.0f, [&](int i) { return std::abs(group.x[i]); });
    const float squares = sum(count, [&](int i) { return group.wx[i] * group.x[i]; });
    const float spread = group.sumW > 0.0f ? std::sqrt(squares / group.sumW) : 0.0f;
    if (largest == 0.0f)
        return {};
    const float low = std::min(0.5f * largest / levels.top, 0.6f * spread / levels.middle);
    // The flatter the group, the more of it may take the lowest level.
    const float high
        = std::max({1.2f * largest / levels.top, 1.7f * low, 1.1f * spread * spread / (largest * levels.low)});
    return {low, high, low > 0.0f ? std::cbrt(high / low) : 1.0f};
}

} // namespace quern
