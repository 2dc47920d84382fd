#include "core/loghistogram.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace quern {

double LogHistogram::edge(std::size_t i)
{
    assert(i <= kBins);
    if (i <= kMiddle)
        return i == 0 ? -std::numeric_limits<double>::infinity() : -edge(kBins - i);
    if (i == kBins)
        return std::numeric_limits<double>::infinity();
    const auto step = static_cast<int>(i - kMiddle) - 1;
    return std::ldexp(1.0 + static_cast<double>(step % kSteps) / kSteps, kSmallest + step / kSteps);
}

std::uint64_t LogHistogram::total() const
{
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t {0});
}

void LogHistogram::merge(const LogHistogram& other)
{
    if (counts.empty())
        counts = other.counts;
    else if (!other.counts.empty())
        std::ranges::transform(counts, other.counts, counts.begin(), std::plus());
}

double LogHistogram::quantile(double share) const
{
    const double wanted = share * static_cast<double>(total());
    double seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto n = static_cast<double>(counts[i]);
        if (n > 0 && seen + n >= wanted) {
            const double from = edge(i), to = edge(i + 1);
            const bool open = i == 0 || i + 1 == kBins;
            return open ? (i == 0 ? to : from) : from + (to - from) * (wanted - seen) / n;
        }
        seen += n;
    }
    return 0;
}

double LogHistogram::below(double value) const
{
    double sum = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double from = edge(i), to = edge(i + 1), n = static_cast<double>(counts[i]);
        if (to <= value)
            sum += n;
        else if (from < value && std::isfinite(from) && std::isfinite(to))
            sum += n * (value - from) / (to - from);
    }
    return sum;
}

Histogram LogHistogram::evenly(double low, double high, int bins) const
{
    assert(bins > 0 && high > low);
    // Sums are rounded, not counts, so that what is rounded off a bin goes to the next one.
    const auto rounded = [&](double value) { return static_cast<std::uint64_t>(std::llround(below(value))); };
    Histogram histogram {.low = low, .high = high, .counts = {}, .below = rounded(low)};
    std::uint64_t before = histogram.below;
    for (int i = 1; i <= bins; ++i) {
        const std::uint64_t upTo = rounded(i == bins ? high : low + (high - low) * i / bins);
        histogram.counts.push_back(upTo - before);
        before = upTo;
    }
    histogram.above = total() - before;
    return histogram;
}

} // namespace quern
