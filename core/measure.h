#pragma once

#include "core/distortion.h"
#include "core/recipe.h"
#include "core/stats.h"

#include <optional>

namespace quern {

// What is known of a tensor; null or none: not measured yet.
struct Measured {
    const Tensor& tensor;
    const TensorStats* stats = nullptr;
    std::optional<Distortion> distortion {}; // under the plan
    const PlannedTensor* planned = nullptr;
    std::optional<double> inputOutliers {}; // outlierScore of its inputs
};

// One number that says something of a tensor: what overviews colour cells by and tables are sorted by.
struct Measure {
    std::string_view name; // stable: "relative_error"
    const char* label;     // QUERN_TEXT
    const char* unit;      // QUERN_TEXT; empty: a ratio
    bool logarithmic;      // spreads over decades
    bool highIsBad;
    bool fromDistortion;                                      // an estimate where the distortion is one
    std::optional<double> (*value)(const Measured& measured); // none: not known, or without meaning for this tensor
};

std::span<const Measure> measures();
const Measure* findMeasure(std::string_view name); // null if unknown

} // namespace quern
