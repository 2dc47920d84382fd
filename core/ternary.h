#pragma once

#include "core/trial.h"

#include <cmath>

namespace quern {

// Sums over the values whose magnitude is above each of 16 thresholds.
struct Tails {
    alignas(64) Lanes threshold {}, w {}, wx {}; // wx: of magnitudes

    // What the scale wx / w lowers the error by.
    float gain(std::size_t c) const { return w[c] > 0.0f ? wx[c] * wx[c] / w[c] : 0.0f; }
    std::size_t best() const
    {
        std::size_t best = 0;
        for (std::size_t c = 1; c < kLanes; ++c)
            best = gain(c) > gain(best) ? c : best;
        return best;
    }
};

// Of a multiple of four values.
inline Tails tails(const Sample& sample, const Lanes& thresholds)
{
    alignas(64) Lanes threshold = thresholds, w {}, wx {};
    const auto add = [&](std::size_t c, float x, float weight, float weighted) {
        const float above = std::abs(x) > threshold[c] ? 1.0f : 0.0f;
        w[c] += above * weight;
        wx[c] += above * std::abs(weighted);
    };
    for (int i = 0; i < sample.count; i += 4) // four at once, so that sums stay in registers meanwhile
        for (std::size_t c = 0; c < kLanes; ++c) {
            add(c, sample.x[i], sample.w[i], sample.wx[i]);
            add(c, sample.x[i + 1], sample.w[i + 1], sample.wx[i + 1]);
            add(c, sample.x[i + 2], sample.w[i + 2], sample.wx[i + 2]);
            add(c, sample.x[i + 3], sample.w[i + 3], sample.wx[i + 3]);
        }
    return {threshold, w, wx};
}

// x = scale * code, codes -1, 0, 1. The magnitudes that become 1 are those above some threshold, and the scale is their
// weighted mean; so the search is for one threshold: a coarse one over all, then between neighbours.
inline float fitTernary(const Sample& sample)
{
    constexpr float kRatio = 0.8f; // of neighbouring thresholds: the lowest is at 1/28 of the largest magnitude
    Lanes thresholds;
    float threshold = greatest(sample.count, 0.0f, [&](int i) { return std::abs(sample.x[i]); });
    for (float& t : thresholds)
        t = threshold *= kRatio;
    Tails found = tails(sample, thresholds);
    constexpr float kCount = kLanes;
    float span = 1.0f / kRatio - kRatio; // of the refined thresholds, in units of the one in their middle
    for (int round = 0; round < 2; ++round) {
        const float middle = found.threshold[found.best()];
        for (std::size_t c = 0; c < kLanes; ++c)
            thresholds[c] = middle * (1.0f + span * (static_cast<float>(c) / kCount - 0.5f));
        found = tails(sample, thresholds);
        span *= 2.0f / kCount;
    }
    const std::size_t best = found.best();
    return found.w[best] > 0.0f ? finiteHalf(found.wx[best] / found.w[best] * sample.unit) : 0.0f;
}

} // namespace quern
