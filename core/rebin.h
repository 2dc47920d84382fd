#pragma once

#include "core/stats.h"

namespace quern {

// The part of a histogram between low and high in at most `bins` bins, for a display of that many columns. Every bin is
// a whole number of the kept ones, so that counts stay exact, and the edges move outwards to the next kept ones; what
// lies beyond is counted in below and above. Empty counts if the range misses the histogram.
Histogram rebinned(const Histogram& kept, double low, double high, int bins);

// The histogram of the two that shows [low, high] in finer bins without leaving anything of it out.
const Histogram& finestFor(const TensorStats& stats, double low, double high);

double binWidth(const Histogram& histogram); // 0 without bins
std::uint64_t largestCount(const Histogram& histogram);

} // namespace quern
