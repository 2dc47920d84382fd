#include "core/fit.h"

#include "core/trial.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace quern {
namespace {

float ratio(float a, float b)
{
    return b == 0.0f ? 0.0f : a / b;
}

// Of refitting to codes. A fourth takes 15 % longer and lowers the error by 0.1 % (Q5_K: 0.4 %), on normal, Laplace and
// Student rows; without the third it is 0.1 to 1 % higher.
constexpr int kRounds = 3;

void refitScales(Trial& trial)
{
    for (std::size_t c = 0; c < kLanes; ++c)
        trial.scale[c] = trial.wqq[c] > 0.0f ? trial.wxq[c] / trial.wqq[c] : trial.scale[c];
}

// The offset stays at or below 0 where formats store the magnitude of a minimum.
void refitGrids(Trial& trial, const Group& group, bool belowZero)
{
    for (std::size_t c = 0; c < kLanes; ++c) {
        const float wq = trial.wq[c], wqq = trial.wqq[c], wxq = trial.wxq[c];
        const float determinant = group.sumW * wqq - wq * wq;
        float scale = (group.sumW * wxq - group.sumWx * wq) / determinant;
        float offset = (group.sumWx - scale * wq) / group.sumW;
        if (belowZero && offset > 0.0f) {
            scale = wxq / wqq;
            offset = 0.0f;
        }
        const bool sound = determinant > 0.0f && scale > 0.0f; // false for not a number, too
        trial.scale[c] = sound ? scale : trial.scale[c];
        trial.offset[c] = sound ? offset : trial.offset[c];
    }
}

// Where searches start, by 2, 3, ... 8 bits of codes.
struct Starts {
    float span;   // of the codes in standard deviations, best for a normal distribution (J. Max, 1960, table II)
    float beyond; // how many times beyond the outermost code the farthest value may come to lie
};
constexpr std::array<Starts, 7> kStarts {
    {{3.98f, 3.5f}, {4.69f, 2.4f}, {5.36f, 1.5f}, {6.02f, 1.35f}, {6.66f, 1.25f}, {7.28f, 1.15f}, {7.88f, 1.1f}}};
constexpr float kInside = 0.9f; // and how far inside

const Starts& startsFor(int levels)
{
    const int bits = std::bit_width(static_cast<unsigned>(levels - 1));
    return kStarts[static_cast<std::size_t>(std::clamp(bits - 2, 0, 6))];
}

struct ScaleFit {
    float scale = 0, error = HUGE_VALF;
};

// Refitted to its codes a scale lowers the error by (sum of w x q)^2 / sum of w q^2.
template <typename CodeSet>
ScaleFit refittedOnce(Trial& trial, const Group& group, const CodeSet& codes)
{
    evaluate<Sums::Moments>(trial, group, codes);
    for (std::size_t c = 0; c < kLanes; ++c) {
        trial.scale[c] = trial.wxq[c] / std::max(trial.wqq[c], 1e-30f);
        trial.error[c] = -trial.scale[c] * trial.wxq[c];
    }
    const std::size_t best = trial.best();
    return {trial.scale[best], trial.error[best]};
}

template <typename CodeSet>
ScaleFit bestScale(const Group& group, const CodeSet& codes)
{
    const auto x = [&](int i) { return group.x[i]; };
    const float low = least(group.count, 0.0f, x), high = greatest(group.count, 0.0f, x);
    const float squares = sum(group.count, [&](int i) { return group.wx[i] * group.x[i]; });
    // The two ways round; codes that reach to one side only cannot be turned.
    const float straight = std::max(ratio(low, codes.low), ratio(high, codes.high));
    const float turned = std::min(ratio(high, codes.low), ratio(low, codes.high));
    // From the farthest value, and one from the weighted spread: a far value that matters little is no measure.
    const Starts& starts = startsFor(codes.levels());
    const float spread = starts.span * std::sqrt(ratio(squares, group.sumW)) / (codes.high - codes.low);
    Trial trial;
    for (std::size_t c = 0; c < kLanes - 2; c += 2) {
        const float share = static_cast<float>(c) / (kLanes - 4),
                    beyond = kInside + (starts.beyond - kInside) * share * share;
        trial.scale[c] = straight / beyond;
        trial.scale[c + 1] = turned / beyond;
    }
    trial.scale[kLanes - 2] = spread;
    trial.scale[kLanes - 1] = -spread;
    if (group.uniform) // one refit; further ones lower the error by 1 % and take three times longer
        return refittedOnce(trial, group, codes);
    for (int round = 0; round < kRounds; ++round) {
        evaluate<Sums::Moments>(trial, group, codes);
        refitScales(trial);
    }
    evaluate(trial, group, codes);
    const std::size_t best = trial.best();
    return {trial.scale[best], trial.error[best]};
}

struct GridFit {
    float scale = 0, offset = 0, meanCode = 0;
};

// Starts: both ends of the range moved inwards by 0 to 3 steps; one from mean and weighted spread.
GridFit bestGrid(const Group& group, int top, bool belowZero)
{
    const auto x = [&](int i) { return group.x[i]; };
    const float start = belowZero ? 0.0f : group.x[0];
    const float low = least(group.count, start, x), high = greatest(group.count, start, x);
    if (low == high)
        return {0.0f, low, 0.0f};
    const Integers codes {0.0f, static_cast<float>(top)};
    const float step = 0.4f / static_cast<float>(top + 1) * (high - low);
    Trial trial;
    for (std::size_t c = 0; c < kLanes; ++c) {
        const std::size_t up = c % 4, down = c / 4;
        trial.offset[c] = low + step * static_cast<float>(up);
        trial.scale[c] = (high - step * static_cast<float>(down) - trial.offset[c]) / codes.high;
    }
    constexpr std::size_t kMiddle = 10;
    const float mean = ratio(group.sumWx, group.sumW);
    const float variance
        = sum(group.count, [&](int i) { return group.w[i] * (group.x[i] - mean) * (group.x[i] - mean); });
    const float span = startsFor(top + 1).span * std::sqrt(ratio(variance, group.sumW));
    if (span > 0.0f) {
        trial.offset[kMiddle] = std::clamp(mean - 0.5f * span, low, high);
        trial.scale[kMiddle] = span / codes.high;
    }
    for (int round = 0; round < kRounds; ++round) {
        evaluate<Sums::Moments>(trial, group, codes);
        refitGrids(trial, group, belowZero);
    }
    evaluate(trial, group, codes);
    const std::size_t c = trial.best();
    return {trial.scale[c], trial.offset[c], trial.wq[c] / group.sumW};
}

// A scale as a half keeps it, in units of the sample.
float stored(float scale, const Sample& sample)
{
    return finiteHalf(scale * sample.unit) / sample.unit;
}

int nearestInteger(float t, int low, int high)
{
    return static_cast<int>(roundedWithin(t, static_cast<float>(low), static_cast<float>(high)));
}

// A block of 256 and what its groups would like, each by itself.
template <typename Wanted>
struct Groups {
    const Sample& sample;
    int group; // values in one
    std::array<Wanted, 16> all {};

    std::size_t size() const { return static_cast<std::size_t>(sample.count / group); }
    Group part(std::size_t g) const { return {sample, static_cast<int>(g) * group, group}; }
};

bool sameScales(const ScaleSet& a, const ScaleSet& b)
{
    return a.d == b.d;
}

bool sameScales(const GridSet& a, const GridSet& b)
{
    return a.d == b.d && a.dmin == b.dmin;
}

// Chooses all groups' integers under common scales, refits these to the codes, and again; the best of them.
// choose(set, refitted) fills in set's integers and, in refitted, the scales that would fit better; returns the error.
// Further starts, 7 % above and 5 % below, lower the error by 0.2 to 1 % and take twice the time.
template <typename Set, typename Choose>
Set refined(Set set, const Choose& choose)
{
    Set best;
    float leastError = HUGE_VALF;
    for (int round = 0; round < kRounds; ++round) {
        Set refitted = set;
        const float error = choose(set, refitted);
        if (error < leastError) {
            leastError = error;
            best = set;
        }
        if (sameScales(set, refitted))
            break;
        set = refitted;
    }
    return best;
}

// Tries the 16 integer scales around each group's own.
template <typename CodeSet>
float chooseScales(const Groups<float>& groups, const CodeSet& codes, ScaleRange range, ScaleSet& set,
                   ScaleSet& refitted)
{
    float error = 0, numerator = 0, denominator = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const int centre = nearestInteger(ratio(groups.all[g], set.d), range.low, range.high);
        const int first = std::clamp(centre - kLanes / 2, range.low, range.high - kLanes + 1);
        Trial trial;
        for (int c = 0; c < kLanes; ++c)
            trial.scale[static_cast<std::size_t>(c)] = set.d * static_cast<float>(first + c);
        evaluate(trial, groups.part(g), codes);
        const std::size_t best = trial.best();
        set.scale[g] = first + static_cast<int>(best);
        const auto scale = static_cast<float>(set.scale[g]);
        error += trial.error[best];
        numerator += scale * trial.wxq[best];
        denominator += scale * scale * trial.wqq[best];
    }
    if (denominator > 0.0f)
        refitted.d = stored(numerator / denominator, groups.sample);
    return error;
}

template <typename CodeSet>
ScaleSet fitScalesOf(const Sample& sample, int group, const CodeSet& codes, ScaleRange range)
{
    Groups<float> groups {sample, group};
    float top = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        groups.all[g] = bestScale(groups.part(g), codes).scale;
        top = std::abs(groups.all[g]) > std::abs(top) ? groups.all[g] : top;
    }
    const ScaleSet start {.d = stored(top / static_cast<float>(range.low), sample)};
    return refined(
        start, [&](ScaleSet& set, ScaleSet& refitted) { return chooseScales(groups, codes, range, set, refitted); });
}

// Weighted normal equations of d and dmin over a whole block.
struct Pair {
    float dd = 0, dm = 0, mm = 0, xd = 0, xm = 0;

    void add(const Trial& trial, std::size_t c, const Group& group, int scale, int minimum)
    {
        const auto s = static_cast<float>(scale), m = static_cast<float>(minimum);
        dd += s * s * trial.wqq[c];
        dm -= s * m * trial.wq[c];
        mm += m * m * group.sumW;
        xd += s * trial.wxq[c];
        xm -= m * group.sumWx;
    }
    void solve(const Sample& sample, GridSet& set) const
    {
        const float determinant = dd * mm - dm * dm;
        float d = (xd * mm - xm * dm) / determinant, dmin = (xm * dd - xd * dm) / determinant;
        if (!(determinant > 0.0f) || !(dmin > 0.0f)) { // no minimum in use, or not a number
            d = dd > 0.0f ? xd / dd : set.d;
            dmin = set.dmin;
        }
        if (d > 0.0f) {
            set.d = stored(d, sample);
            set.dmin = stored(dmin, sample);
        }
    }
};

// Tries four scales times four minima around each group's own.
float chooseGrids(const Groups<GridFit>& groups, const Integers& codes, int high, GridSet& set, GridSet& refitted)
{
    float error = 0;
    Pair pair;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const GridFit& wanted = groups.all[g];
        const Group part = groups.part(g);
        const int firstScale = nearestInteger(ratio(wanted.scale, set.d) - 1.5f, 0, high - 3);
        std::array<int, kLanes> scale {}, minimum {};
        Trial trial;
        for (int c = 0; c < kLanes; ++c) {
            const auto lane = static_cast<std::size_t>(c);
            scale[lane] = firstScale + c / 4;
            trial.scale[lane] = set.d * static_cast<float>(scale[lane]);
            // A wider grid wants a lower start: its middle stays where it is.
            const float offset = -wanted.offset + (trial.scale[lane] - wanted.scale) * wanted.meanCode;
            minimum[lane] = nearestInteger(ratio(offset, set.dmin) - 1.5f, 0, high - 3) + c % 4;
            trial.offset[lane] = -(set.dmin * static_cast<float>(minimum[lane]));
        }
        evaluate(trial, part, codes);
        const std::size_t best = trial.best();
        set.scale[g] = scale[best];
        set.minimum[g] = minimum[best];
        error += trial.error[best];
        pair.add(trial, best, part, scale[best], minimum[best]);
    }
    pair.solve(groups.sample, refitted);
    return error;
}

} // namespace

Sample::Sample(std::span<const float> values, std::span<const float> importance)
    : count(static_cast<int>(values.size()))
    , uniform(importance.empty())
{
    const float largest = greatest(count, 0.0f, [&](int i) { return std::abs(values[static_cast<std::size_t>(i)]); });
    const float heaviest = greatest(static_cast<int>(importance.size()), 0.0f,
                                    [&](int i) { return importance[static_cast<std::size_t>(i)]; });
    int exponent = 0;
    std::frexp(largest, &exponent);
    constexpr int kSmallest = -60; // what is smaller becomes 0 in any format
    unit = std::ldexp(1.0f, std::max(exponent - 1, kSmallest));

    const bool weighted = heaviest > 0.0f;
    const float perUnit = 1.0f / unit;
    const std::size_t n = values.size();
    if (n > kLargestBlock)
        m_row.resize(3 * n);
    float* const out = n > kLargestBlock ? m_row.data() : m_block.data();
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = values[i] * perUnit;
        out[n + i] = weighted ? importance[i] / heaviest : 1.0f;
        out[2 * n + i] = out[n + i] * out[i];
    }
    x = out;
    w = out + n;
    wx = out + 2 * n;
}

std::span<const float> Sample::part(const Fit& fit, std::size_t first, std::size_t n)
{
    return fit.importance.empty() ? fit.importance : fit.importance.subspan(first, n);
}

float fitScale(const Sample& sample, const Codes& codes)
{
    const Group whole(sample, 0, sample.count);
    const ScaleFit fit = codes.iq4 ? bestScale(whole, Iq4 {}) : bestScale(whole, Integers {codes.low, codes.high});
    return stored(fit.scale, sample) * sample.unit;
}

Grid fitGrid(const Sample& sample, int top)
{
    const GridFit fit = bestGrid(Group(sample, 0, sample.count), top, false);
    return {stored(fit.scale, sample) * sample.unit, stored(fit.offset, sample) * sample.unit};
}

ZeroFit fitZero(const Sample& sample, int top)
{
    const Group whole(sample, 0, sample.count);
    const GridFit start = bestGrid(whole, top, false);
    const int middle = nearestInteger(ratio(-start.offset, start.scale), 0, top);
    ZeroFit found;
    float leastError = HUGE_VALF;
    for (int zero = std::max(middle - 1, 0); zero <= std::min(middle + 1, top); ++zero) {
        const ScaleFit fit = bestScale(whole, Integers {static_cast<float>(-zero), static_cast<float>(top - zero)});
        if (fit.error < leastError) {
            leastError = fit.error;
            found = {stored(fit.scale, sample) * sample.unit, zero};
        }
    }
    return found;
}

ScaleSet fitScales(const Sample& sample, int group, const Codes& codes, ScaleRange range)
{
    ScaleSet best = codes.iq4 ? fitScalesOf(sample, group, Iq4 {}, range)
                              : fitScalesOf(sample, group, Integers {codes.low, codes.high}, range);
    best.d *= sample.unit;
    return best;
}

GridSet fitGrids(const Sample& sample, int group, int top, int high)
{
    Groups<GridFit> groups {sample, group};
    float topScale = 0, topMinimum = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        groups.all[g] = bestGrid(groups.part(g), top, true);
        topScale = std::max(topScale, groups.all[g].scale);
        topMinimum = std::max(topMinimum, -groups.all[g].offset);
    }
    const Integers codes {0.0f, static_cast<float>(top)};
    const auto steps = static_cast<float>(high);
    const GridSet start {.d = stored(topScale / steps, sample), .dmin = stored(topMinimum / steps, sample)};
    GridSet best = refined(
        start, [&](GridSet& set, GridSet& refitted) { return chooseGrids(groups, codes, high, set, refitted); });
    best.d *= sample.unit;
    best.dmin *= sample.unit;
    return best;
}

} // namespace quern
