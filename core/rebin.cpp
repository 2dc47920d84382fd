#include "core/rebin.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

std::uint64_t sum(const std::vector<std::uint64_t>& counts, std::size_t first, std::size_t last)
{
    const auto at = [&](std::size_t i) { return counts.begin() + static_cast<std::ptrdiff_t>(i); };
    return std::accumulate(at(first), at(last), std::uint64_t {0});
}

} // namespace

double binWidth(const Histogram& histogram)
{
    return histogram.counts.empty() ? 0.0
                                    : (histogram.high - histogram.low) / static_cast<double>(histogram.counts.size());
}

std::uint64_t largestCount(const Histogram& histogram)
{
    return histogram.counts.empty() ? 0 : *std::ranges::max_element(histogram.counts);
}

Histogram rebinned(const Histogram& kept, double low, double high, int bins)
{
    const std::size_t n = kept.counts.size();
    const double width = binWidth(kept);
    Histogram shown {.low = low, .high = high, .below = kept.below, .above = kept.above};
    if (n == 0)
        return shown;
    if (!(width > 0.0)) { // all values are the same: one bin, whatever the range
        shown.low = shown.high = kept.low;
        shown.counts = {sum(kept.counts, 0, n)};
        return shown;
    }
    // A range that ends a rounding error beyond an edge ends at the edge.
    const auto index = [&](double edge) { return std::clamp(edge, 0.0, static_cast<double>(n)); };
    const auto first = static_cast<std::size_t>(index(std::floor((low - kept.low) / width + 1e-9)));
    const auto last = static_cast<std::size_t>(index(std::ceil((high - kept.low) / width - 1e-9)));
    shown.below += sum(kept.counts, 0, std::min(first, n));
    shown.above += sum(kept.counts, std::max(first, last), n);
    if (last <= first)
        return shown;
    const std::size_t merged = (last - first + static_cast<std::size_t>(bins) - 1) / static_cast<std::size_t>(bins);
    for (std::size_t i = first; i < last; i += merged)
        shown.counts.push_back(sum(kept.counts, i, std::min(i + merged, n)));
    // The last bin may reach beyond the range; what it holds is no tail.
    const std::size_t end = std::min(first + shown.counts.size() * merged, n);
    shown.above -= sum(kept.counts, last, end);
    shown.low = kept.low + static_cast<double>(first) * width;
    shown.high = kept.low + static_cast<double>(first + shown.counts.size() * merged) * width;
    return shown;
}

const Histogram& finestFor(const TensorStats& stats, double low, double high)
{
    const Histogram &all = stats.histogram, &centre = stats.centre;
    const bool within = low >= centre.low && high <= centre.high;
    return within && !centre.counts.empty() && binWidth(centre) < binWidth(all) ? centre : all;
}

} // namespace quern
