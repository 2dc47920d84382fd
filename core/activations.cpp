#include "core/activations.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

namespace quern {
namespace {

constexpr double kTails = 0.0005; // share of the values on each side that the centre leaves out

// A bin's edges, with those at infinity brought in: values beyond the last finite edge count as if they lay on it.
struct Bin {
    double low, high, count;
};

std::vector<Bin> filledBins(const LogHistogram& values)
{
    std::vector<Bin> bins;
    for (std::size_t i = 0; i < values.counts.size(); ++i) {
        if (values.counts[i] == 0)
            continue;
        const double low = LogHistogram::edge(i), high = LogHistogram::edge(i + 1);
        bins.push_back(
            {std::isfinite(low) ? low : high, std::isfinite(high) ? high : low, static_cast<double>(values.counts[i])});
    }
    return bins;
}

// The mean of (x - about)^power over values evenly spread from low to high.
double moment(const Bin& bin, double about, int power)
{
    const double a = bin.low - about, b = bin.high - about;
    if (!(b > a))
        return std::pow(a, power);
    double sum = 0; // (b^(n+1) - a^(n+1)) / ((n+1) (b - a)), without the difference of near numbers
    for (int i = 0; i <= power; ++i)
        sum += std::pow(a, i) * std::pow(b, power - i);
    return sum / (power + 1);
}

double meanMoment(const std::vector<Bin>& bins, double total, double about, int power)
{
    double sum = 0;
    for (const Bin& bin : bins)
        sum += bin.count * moment(bin, about, power);
    return sum / total;
}

} // namespace

std::vector<float> channelRms(const InputStats& inputs)
{
    double count = 0;
    for (const double n : inputs.counts)
        count += n;
    if (!(count > 0))
        return {};
    std::vector<float> rms(static_cast<std::size_t>(inputs.sumSquares.cols()));
    for (std::size_t i = 0; i < rms.size(); ++i)
        rms[i] = static_cast<float>(std::sqrt(inputs.sumSquares.col(static_cast<long>(i)).sum() / count));
    return rms;
}

std::optional<double> outlierScore(const InputStats& inputs)
{
    std::vector<float> rms = channelRms(inputs);
    if (rms.empty())
        return std::nullopt;
    const double largest = *std::ranges::max_element(rms);
    const auto middle = rms.begin() + static_cast<std::ptrdiff_t>(rms.size() / 2);
    std::ranges::nth_element(rms, middle);
    const double median
        = rms.size() % 2 ? *middle : (static_cast<double>(*middle) + *std::max_element(rms.begin(), middle)) / 2;
    if (!(largest > 0))
        return std::nullopt;
    return median > 0 ? largest / median : std::numeric_limits<double>::infinity();
}

std::vector<long> strongestFirst(std::span<const float> rms)
{
    std::vector<long> channels(rms.size());
    std::iota(channels.begin(), channels.end(), 0L);
    std::ranges::stable_sort(channels, std::ranges::greater {},
                             [&](long channel) { return rms[static_cast<std::size_t>(channel)]; });
    return channels;
}

TensorStats countedStats(const LogHistogram& values, int bins)
{
    assert(bins > 0);
    TensorStats stats;
    const std::vector<Bin> filled = filledBins(values);
    if (filled.empty())
        return stats;
    stats.count = values.total();
    const auto total = static_cast<double>(stats.count);
    stats.min = filled.front().low;
    stats.max = filled.back().high;
    stats.absMax = std::max(std::abs(stats.min), std::abs(stats.max));
    stats.mean = meanMoment(filled, total, 0, 1);
    const double variance = meanMoment(filled, total, stats.mean, 2);
    stats.std = std::sqrt(variance);
    if (variance > 0) {
        stats.skewness = meanMoment(filled, total, stats.mean, 3) / (variance * stats.std);
        stats.kurtosis = meanMoment(filled, total, stats.mean, 4) / (variance * variance) - 3;
    }
    if (!(stats.max > stats.min)) // all in a bin at the end
        return stats;
    stats.histogram = values.evenly(stats.min, stats.max, bins);
    const double low = values.quantile(kTails), high = values.quantile(1 - kTails);
    stats.centre = high > low ? values.evenly(low, high, bins) : stats.histogram;
    if (const double six = 6 * stats.std; six > 0) {
        const Histogram inside = values.evenly(stats.mean - six, stats.mean + six, 1);
        stats.outliers = inside.below + inside.above;
    }
    return stats;
}

} // namespace quern
