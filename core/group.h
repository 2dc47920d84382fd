#pragma once

#include "core/levels.h"
#include "core/quantize.h"
#include "core/stats.h"

#include <memory>
#include <optional>

namespace quern {

// One group of a row, quantized: the values it could take, and what it took.
struct GroupLevels {
    long first = 0;                       // column of its first weight
    std::vector<float> original, decoded; // its weights
    std::vector<float> levels;            // ascending; empty for formats without levels (floats, codebooks, copies)
};
GroupLevels groupLevels(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long row, long group,
                        Progress& progress);

// Mean distance of neighbouring levels of every group: rows x groups, 0 where a group has one level only. Empty for
// formats without levels.
Matrix groupSteps(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, Progress& progress);

// What quantization makes of a tensor, from groups of rows spread evenly over it.
struct QuantizedSample {
    long rows = 0;                     // that were quantized
    std::vector<Histogram> histograms; // of their decoded values, in the bins asked for
    // Root of the mean over groups of (mean squared error / step^2): about 1/sqrt(12) = 0.289 where rounding is uniform
    // within the levels' range; none for formats without levels.
    std::optional<double> errorPerStep;
};
// bins: the bins to count into; their counts are not read. stride: every stride-th group of rows, 1 for all.
QuantizedSample quantizedSample(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs,
                                std::span<const Histogram> bins, long stride, Progress& progress);

// A whole tensor quantized into memory, whose bytes the copy owns.
struct QuantizedCopy {
    std::vector<std::byte> bytes;
    Tensor tensor;
};
std::shared_ptr<const QuantizedCopy> quantizedCopy(const Tensor& tensor, const Choice& choice,
                                                   const KnownInputs& inputs, Progress& progress);

} // namespace quern
