#include "core/fit.h"

#include "core/iq4.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

using Lanes = std::array<float, kLanes>;

// A group of a sample.
struct Group {
    const float *x, *w, *wx;
    int count;
    float sumW = 0, sumWx = 0;

    Group(const Sample& sample, int first, int n)
        : x(sample.x + first)
        , w(sample.w + first)
        , wx(sample.wx + first)
        , count(n)
    {
        for (int i = 0; i < n; ++i) {
            sumW += w[i];
            sumWx += wx[i];
        }
    }
};

struct Integers {
    float low, high;

    float nearest(float t) const { return roundedWithin(t, low, high); }
};

struct Iq4 {
    float low = kIq4Values.front(), high = kIq4Values.back();

    // Adds up the steps that lie below t; written out for the compiler, which makes no vectors of loops within loops.
    static float nearest(float t) { return sumOfSteps(t, std::make_index_sequence<kIq4Values.size() - 1>()); }

private:
    template <std::size_t... K>
    static float sumOfSteps(float t, std::index_sequence<K...>)
    {
        float value = kIq4Values.front();
        ((value += t > middle<K> ? step<K> : 0.0f), ...);
        return value;
    }
    template <std::size_t K>
    static constexpr float middle = 0.5f * static_cast<float>(kIq4Values[K] + kIq4Values[K + 1]);
    template <std::size_t K>
    static constexpr float step = static_cast<float>(kIq4Values[K + 1] - kIq4Values[K]);
};

// 16 grids tried on one group.
struct Trial {
    alignas(64) Lanes scale {}, offset {};
    alignas(64) Lanes error {}, wq {}, wqq {},
        wxq {}; // sums of w (x - decoded)^2, w q, w q^2, w x q, q the nearest codes

    std::size_t best() const
    {
        return static_cast<std::size_t>(std::min_element(error.begin(), error.end()) - error.begin());
    }
};

template <typename CodeSet>
void evaluate(Trial& trial, const Group& group, const CodeSet& codes)
{
    alignas(64) Lanes error {}, wq {}, wqq {}, wxq {}, inverse, scale = trial.scale, offset = trial.offset;
    for (std::size_t c = 0; c < kLanes; ++c)
        inverse[c] = scale[c] == 0.0f ? 0.0f : 1.0f / scale[c];
    for (int i = 0; i < group.count; ++i) {
        const float x = group.x[i], w = group.w[i], wx = group.wx[i];
        for (std::size_t c = 0; c < kLanes; ++c) {
            const float q = codes.nearest((x - offset[c]) * inverse[c]);
            const float e = x - (scale[c] * q + offset[c]), weighted = w * q;
            error[c] += w * e * e;
            wq[c] += weighted;
            wqq[c] += weighted * q;
            wxq[c] += wx * q;
        }
    }
    trial.error = error;
    trial.wq = wq;
    trial.wqq = wqq;
    trial.wxq = wxq;
}

float ratio(float a, float b)
{
    return b == 0.0f ? 0.0f : a / b;
}

constexpr int kRounds = 3; // of refitting scales to codes; the fourth changes the error by less than 1e-4 of it

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

// Starts: the value of largest magnitude comes to lie so many times farther out than the outermost code.
constexpr std::array<float, kLanes / 2> kBeyond {0.90f, 0.96f, 1.0f, 1.05f, 1.12f, 1.22f, 1.4f, 1.75f};

struct ScaleFit {
    float scale = 0, error = HUGE_VALF;
};

template <typename CodeSet>
ScaleFit bestScale(const Group& group, const CodeSet& codes)
{
    float low = 0, high = 0;
    for (int i = 0; i < group.count; ++i) {
        low = std::min(low, group.x[i]);
        high = std::max(high, group.x[i]);
    }
    // The two ways round; codes that reach to one side only cannot be turned.
    const float straight = std::max(ratio(low, codes.low), ratio(high, codes.high));
    const float turned = std::min(ratio(high, codes.low), ratio(low, codes.high));
    Trial trial;
    for (std::size_t c = 0; c < kLanes / 2; ++c) {
        trial.scale[2 * c] = straight / kBeyond[c];
        trial.scale[2 * c + 1] = turned / kBeyond[c];
    }
    for (int round = 0; round < kRounds; ++round) {
        evaluate(trial, group, codes);
        refitScales(trial);
    }
    evaluate(trial, group, codes);
    const std::size_t best = trial.best();
    return {trial.scale[best], trial.error[best]};
}

struct GridFit {
    float scale = 0, offset = 0, meanCode = 0;
};

// Starts: both ends of the range moved inwards by 0 to 3 steps.
GridFit bestGrid(const Group& group, int top, bool belowZero)
{
    float low = belowZero ? 0.0f : group.x[0], high = low;
    for (int i = 0; i < group.count; ++i) {
        low = std::min(low, group.x[i]);
        high = std::max(high, group.x[i]);
    }
    if (low == high)
        return {0.0f, low, 0.0f};
    const Integers codes {0.0f, static_cast<float>(top)};
    const float step = 0.4f / static_cast<float>(top + 1) * (high - low);
    Trial trial;
    for (std::size_t c = 0; c < kLanes; ++c) {
        trial.offset[c] = low + step * static_cast<float>(c % 4);
        trial.scale[c] = (high - step * static_cast<float>(c / 4) - trial.offset[c]) / codes.high;
    }
    for (int round = 0; round < kRounds; ++round) {
        evaluate(trial, group, codes);
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

// Tries the 16 integer scales around each group's own on a common d. Returns the error of the best ones; numerator and
// denominator are of the d that would fit their codes best.
template <typename CodeSet>
float chooseScales(const Sample& sample, std::span<const float> wanted, int group, const CodeSet& codes,
                   ScaleRange range, ScaleSet& set, float& refitted)
{
    float error = 0, numerator = 0, denominator = 0;
    for (std::size_t g = 0; g < wanted.size(); ++g) {
        const Group part(sample, static_cast<int>(g) * group, group);
        const int centre = nearestInteger(ratio(wanted[g], set.d), range.low, range.high);
        const int first = std::clamp(centre - kLanes / 2, range.low, range.high - kLanes + 1);
        Trial trial;
        for (int c = 0; c < kLanes; ++c)
            trial.scale[static_cast<std::size_t>(c)] = set.d * static_cast<float>(first + c);
        evaluate(trial, part, codes);
        const std::size_t best = trial.best();
        const int scale = first + static_cast<int>(best);
        set.scale[g] = scale;
        error += trial.error[best];
        numerator += static_cast<float>(scale) * trial.wxq[best];
        denominator += static_cast<float>(scale * scale) * trial.wqq[best];
    }
    refitted = denominator > 0.0f ? stored(numerator / denominator, sample) : set.d;
    return error;
}

constexpr std::array<float, 3> kStretches {1.0f, 0.95f, 1.07f}; // starts of d, in units of what the largest scale needs

template <typename CodeSet>
ScaleSet fitScalesOf(const Sample& sample, int group, const CodeSet& codes, ScaleRange range)
{
    std::array<float, 16> scales {};
    const std::span<float> wanted(scales.data(), static_cast<std::size_t>(sample.count / group));
    float top = 0;
    for (std::size_t g = 0; g < wanted.size(); ++g) {
        wanted[g] = bestScale(Group(sample, static_cast<int>(g) * group, group), codes).scale;
        top = std::abs(wanted[g]) > std::abs(top) ? wanted[g] : top;
    }
    ScaleSet best;
    float leastError = HUGE_VALF;
    for (const float stretch : kStretches) {
        ScaleSet set {.d = stored(top / static_cast<float>(range.low) * stretch, sample)};
        for (int round = 0; round < kRounds; ++round) {
            float refitted = set.d;
            const float error = chooseScales(sample, wanted, group, codes, range, set, refitted);
            if (error < leastError) {
                leastError = error;
                best = set;
            }
            if (refitted == set.d)
                break;
            set.d = refitted;
        }
    }
    best.d *= sample.unit;
    return best;
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
float chooseGrids(const Sample& sample, std::span<const GridFit> wanted, const Integers& codes, int high, GridSet& set)
{
    const int group = sample.count / static_cast<int>(wanted.size());
    float error = 0;
    Pair pair;
    for (std::size_t g = 0; g < wanted.size(); ++g) {
        const Group part(sample, static_cast<int>(g) * group, group);
        const int firstScale = nearestInteger(ratio(wanted[g].scale, set.d) - 1.5f, 0, high - 3);
        std::array<int, kLanes> scale {}, minimum {};
        Trial trial;
        for (int c = 0; c < kLanes; ++c) {
            const auto lane = static_cast<std::size_t>(c);
            scale[lane] = firstScale + c / 4;
            trial.scale[lane] = set.d * static_cast<float>(scale[lane]);
            // A wider grid wants a lower start: its middle stays where it is.
            const float offset = -wanted[g].offset + (trial.scale[lane] - wanted[g].scale) * wanted[g].meanCode;
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
    pair.solve(sample, set);
    return error;
}

} // namespace

Sample::Sample(std::span<const float> values, std::span<const float> importance)
    : count(static_cast<int>(values.size()))
{
    float largest = 0, heaviest = 0;
    for (const float v : values)
        largest = std::max(largest, std::abs(v));
    for (const float v : importance)
        heaviest = std::max(heaviest, v);
    int exponent = 0;
    std::frexp(largest, &exponent);
    constexpr int kSmallest = -60; // what is smaller becomes 0 in any format
    unit = std::ldexp(1.0f, std::max(exponent - 1, kSmallest));

    const std::size_t n = values.size();
    if (n > kLargestBlock)
        m_row.resize(3 * n);
    float* const out = n > kLargestBlock ? m_row.data() : m_block.data();
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = values[i] / unit;
        out[n + i] = heaviest > 0.0f ? importance[i] / heaviest : 1.0f;
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
    return codes.iq4 ? fitScalesOf(sample, group, Iq4 {}, range)
                     : fitScalesOf(sample, group, Integers {codes.low, codes.high}, range);
}

GridSet fitGrids(const Sample& sample, int group, int top, int high)
{
    std::array<GridFit, 16> fits {};
    const std::span<GridFit> wanted(fits.data(), static_cast<std::size_t>(sample.count / group));
    float topScale = 0, topMinimum = 0;
    for (std::size_t g = 0; g < wanted.size(); ++g) {
        wanted[g] = bestGrid(Group(sample, static_cast<int>(g) * group, group), top, true);
        topScale = std::max(topScale, wanted[g].scale);
        topMinimum = std::max(topMinimum, -wanted[g].offset);
    }
    GridSet best;
    float leastError = HUGE_VALF;
    for (const float stretch : kStretches) {
        GridSet set {.d = stored(topScale / static_cast<float>(high) * stretch, sample),
                     .dmin = stored(topMinimum / static_cast<float>(high) * stretch, sample)};
        for (int round = 0; round < kRounds; ++round) {
            GridSet next = set;
            const float error = chooseGrids(sample, wanted, Integers {0.0f, static_cast<float>(top)}, high, next);
            std::swap(next.d, set.d), std::swap(next.dmin, set.dmin); // next: chosen under the old pair
            if (error < leastError) {
                leastError = error;
                best = next;
            }
            if (set.d == next.d && set.dmin == next.dmin)
                break;
        }
    }
    best.d *= sample.unit;
    best.dmin *= sample.unit;
    return best;
}

} // namespace quern
