#pragma once

#include "core/stats.h"

#include <span>
#include <utility>

// What both ways of measuring a tensor share: by counting bit patterns (stats.cpp), and in two runs (widestats.cpp).
namespace quern {

constexpr double kOutlier = 6; // standard deviations

// Rows [first, last) of a task. Few tasks, as each has tables of its own; their number never depends on that of
// threads.
struct Rows {
    long first, last;
};
std::vector<Rows> tasks(const Tensor& tensor);

Histogram emptyHistogram(double low, double high, int bins);

// A value and how often it occurs.
struct Counted {
    double value;
    std::uint64_t count;
};

// The values between which all but a share of 0.0005 at each end lie. values: ascending, not empty.
std::pair<double, double> centreOf(std::span<const Counted> values, std::uint64_t count);

// n values: their mean, and the sums of the second to fourth powers of their distances from it.
struct Moments {
    double n = 0, mean = 0, m2 = 0, m3 = 0, m4 = 0;

    void describe(TensorStats& stats) const; // sets mean, std, skewness and kurtosis; n > 0
};

// Everything but count and absMax, for formats of any width.
TensorStats statsInTwoRuns(const Tensor& tensor, int bins, Progress& progress);

} // namespace quern
