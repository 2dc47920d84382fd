#pragma once

#include "core/calibration.h"

#include <optional>

namespace quern {

// What a calibration says of a tensor's inputs and outputs, ready to be looked at.

// Root mean square of every input channel, over all experts' inputs; empty if none were counted.
std::vector<float> channelRms(const InputStats& inputs);

// The largest of channelRms over their median: 1 where all channels are alike, infinite if more than half of them are
// silent. None without inputs, or where all are silent.
std::optional<double> outlierScore(const InputStats& inputs);

// Channels in the order of their strength, the strongest first; in order of number where they are equal.
std::vector<long> strongestFirst(std::span<const float> rms);

// Figures and histograms of values that were counted in logarithmic bins, as of a tensor. Values are taken as evenly
// spread within their bin, so the extremes are a bin's edges (6 % apart at most) and the moments a fraction of a
// percent off, 3 % where a single value makes them; no rows, no columns, and zeros are not told apart. bins: of each
// histogram, at least 1.
TensorStats countedStats(const LogHistogram& values, int bins);

} // namespace quern
