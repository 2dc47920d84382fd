#pragma once

#include "core/progress.h"
#include "core/tensor.h"

#include <algorithm>
#include <cstdint>

namespace quern {

struct Histogram {
    double low = 0, high = 0;           // edges of the first and the last bin; bins are equally wide
    std::vector<std::uint64_t> counts;  // per bin: [edge, next edge), the last one closed; one bin where low = high
    std::uint64_t below = 0, above = 0; // finite values outside [low, high]: the tails, never dropped

    std::size_t bin(double value) const // value in [low, high]
    {
        if (!(high > low))
            return 0;
        const auto n = static_cast<double>(counts.size());
        return std::min(counts.size() - 1, static_cast<std::size_t>((value - low) / (high - low) * n));
    }
    void add(double value, std::uint64_t count = 1)
    {
        if (value < low)
            below += count;
        else if (value > high)
            above += count;
        else if (!counts.empty())
            counts[bin(value)] += count;
    }
    void merge(const Histogram& part); // of the same edges
};

// An input channel (column) and the largest magnitude among its weights.
struct Channel {
    long index;
    float absMax;
};

// Everything the views and `stats` say of one tensor. Non-finite values are counted and left out of all else.
struct TensorStats {
    std::uint64_t count = 0, zeros = 0, nonFinite = 0;
    std::uint64_t outliers = 0; // |x - mean| > 6 std
    double min = 0, max = 0, absMax = 0;
    double mean = 0, std = 0;                              // std: population
    double skewness = 0, kurtosis = 0;                     // kurtosis: excess, 0 for a normal distribution
    Histogram histogram;                                   // all finite values: [min, max]
    Histogram centre;                                      // the central 99.9 %, tails counted; what views show first
    std::vector<float> columnAbsMax;                       // per input channel
    std::vector<float> rowAbsMax;                          // per output channel
    std::vector<Channel> topChannels(std::size_t n) const; // largest first
};

// bins: at least 1. Formats of 8 or 16 bits a value take one parallel run, in which equal bit patterns are counted: all
// figures follow exactly from the counts. Others take two runs; the edges of their centre are rounded outward to 8
// significant bits. Memory is bounded by 1 MB a task of at most 16, besides rows and columns.
TensorStats tensorStats(const Tensor& tensor, int bins, Progress& progress);

} // namespace quern
