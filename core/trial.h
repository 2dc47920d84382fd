#pragma once

#include "core/fit.h"

#include <algorithm>
#include <utility>

// Grids tried on a group of weights, many at once, for blocks that are searched one at a time.
namespace quern {

using Lanes = std::array<float, kLanes>;

// Combines value(i) for i in [0, n) lane by lane, then the lanes: a chain of one after the other would wait at each
// step.
template <typename Value, typename Combine>
float combined(int n, float start, const Value& value, const Combine& combine)
{
    alignas(64) Lanes lanes;
    lanes.fill(start);
    int i = 0;
    for (; i + kLanes <= n; i += kLanes)
        for (int c = 0; c < kLanes; ++c)
            lanes[static_cast<std::size_t>(c)] = combine(lanes[static_cast<std::size_t>(c)], value(i + c));
    for (; i < n; ++i)
        lanes[0] = combine(lanes[0], value(i));
    for (std::size_t half = kLanes / 2; half > 0; half /= 2)
        for (std::size_t c = 0; c < half; ++c)
            lanes[c] = combine(lanes[c], lanes[c + half]);
    return lanes[0];
}

template <typename Value>
float sum(int n, const Value& value)
{
    return combined(n, 0.0f, value, [](float a, float b) { return a + b; });
}

template <typename Value>
float least(int n, float start, const Value& value)
{
    return combined(n, start, value, [](float a, float b) { return b < a ? b : a; });
}

template <typename Value>
float greatest(int n, float start, const Value& value)
{
    return combined(n, start, value, [](float a, float b) { return b > a ? b : a; });
}

// A group of a sample.
struct Group {
    const float *x, *w, *wx;
    int count;
    bool uniform;
    float sumW = 0, sumWx = 0;

    Group(const Sample& sample, int first, int n)
        : x(sample.x + first)
        , w(sample.w + first)
        , wx(sample.wx + first)
        , count(n)
        , uniform(sample.uniform)
        , sumW(sum(n, [this](int i) { return w[i]; }))
        , sumWx(sum(n, [this](int i) { return wx[i]; }))
    {
    }
};

// 16 grids tried on one group.
struct Trial {
    alignas(64) Lanes scale {}, offset {};
    alignas(64) Lanes error {}, wq {}, wqq {},
        wxq {}; // sums of w (x - decoded)^2, w q, w q^2, w x q, q the nearest codes

    std::size_t best() const { return static_cast<std::size_t>(std::ranges::min_element(error) - error.begin()); }
};

enum class Sums { Moments, All }; // without and with the error

template <Sums Wanted = Sums::All, typename CodeSet>
void evaluate(Trial& trial, const Group& group, const CodeSet& codes)
{
    alignas(64) Lanes error {}, wq {}, wqq {}, wxq {}, inverse, scale = trial.scale, offset = trial.offset;
    for (std::size_t c = 0; c < kLanes; ++c)
        inverse[c] = scale[c] == 0.0f ? 0.0f : 1.0f / scale[c];
    const auto add = [&](std::size_t c, float x, float w, float wx) {
        const float q = codes.nearest((x - offset[c]) * inverse[c]);
        const float weighted = w * q;
        if constexpr (Wanted == Sums::All) {
            const float e = x - (scale[c] * q + offset[c]);
            error[c] += w * e * e;
        }
        wq[c] += weighted;
        wqq[c] += weighted * q;
        wxq[c] += wx * q;
    };
    const float *x = group.x, *w = group.w, *wx = group.wx;
    int i = 0;
    for (; i + 4 <= group.count; i += 4) // four at once, so that sums stay in registers meanwhile
        for (std::size_t c = 0; c < kLanes; ++c) {
            add(c, x[i], w[i], wx[i]);
            add(c, x[i + 1], w[i + 1], wx[i + 1]);
            add(c, x[i + 2], w[i + 2], wx[i + 2]);
            add(c, x[i + 3], w[i + 3], wx[i + 3]);
        }
    for (; i < group.count; ++i)
        for (std::size_t c = 0; c < kLanes; ++c)
            add(c, x[i], w[i], wx[i]);
    trial.error = error;
    trial.wq = wq;
    trial.wqq = wqq;
    trial.wxq = wxq;
}

} // namespace quern
