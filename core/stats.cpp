#include "core/parallel.h"
#include "core/patterns.h"
#include "core/tally.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

constexpr double kTail = 0.0005; // share of the weights left out at each end of the centre
constexpr long kTaskWeights = 1 << 20;
constexpr long kMostTasks = 16;

// Everything but rows and columns, exactly. values: ascending, not empty.
void describe(TensorStats& stats, std::span<const Counted> values, int bins)
{
    std::uint64_t n = 0;
    double sum = 0;
    for (const auto& [value, count] : values) {
        n += count;
        sum += value * static_cast<double>(count);
        if (value == 0)
            stats.zeros += count;
    }
    const auto total = static_cast<double>(n);
    Moments moments {.n = total, .mean = sum / total};
    for (const auto& [value, count] : values) {
        const double d = value - moments.mean, c = static_cast<double>(count);
        moments.m2 += c * d * d;
        moments.m3 += c * d * d * d;
        moments.m4 += c * d * d * d * d;
    }
    moments.describe(stats);
    stats.min = values.front().value;
    stats.max = values.back().value;
    const auto [low, high] = centreOf(values, n);
    stats.histogram = emptyHistogram(stats.min, stats.max, bins);
    stats.centre = emptyHistogram(low, high, bins);
    for (const auto& [value, count] : values) {
        stats.histogram.add(value, count);
        stats.centre.add(value, count);
        if (std::abs(value - stats.mean) > kOutlier * stats.std)
            stats.outliers += count;
    }
}

// What the bit patterns of a format of one value per 1 or 2 bytes stand for.
template <typename Bits>
std::vector<float> valuesOf(const BlockFormat& format)
{
    constexpr std::size_t kPatterns = std::size_t {1} << (8 * sizeof(Bits));
    std::vector<Bits> all(kPatterns);
    std::iota(all.begin(), all.end(), Bits {0});
    std::vector<float> values(kPatterns);
    format.decode(format, reinterpret_cast<const std::byte*>(all.data()), values);
    return values;
}

template <typename Bits>
TensorStats fromPatterns(const Tensor& tensor, int bins, Progress& progress)
{
    const std::vector<float> values = valuesOf<Bits>(*tensor.format);
    const Magnitudes<Bits> magnitudes(values);
    const std::vector<Rows> all = tasks(tensor);
    std::vector<std::vector<std::uint64_t>> counts(all.size());
    std::vector<std::vector<Bits>> columns(all.size());
    TensorStats stats;
    stats.rowAbsMax.resize(static_cast<std::size_t>(tensor.rows()));
    parallelFor(static_cast<long>(all.size()), progress, [&](long i) {
        const auto t = static_cast<std::size_t>(i);
        PatternCounts<Bits> counted;
        columns[t].resize(static_cast<std::size_t>(tensor.cols()));
        for (long row = all[t].first; row < all[t].last; ++row) {
            progress.check();
            const std::byte* bytes = tensor.row(row);
            counted.add(bytes, tensor.cols());
            const Bits largest = magnitudes.raise(columns[t], bytes);
            stats.rowAbsMax[static_cast<std::size_t>(row)] = magnitudes.value(largest);
        }
        counts[t] = counted.totals();
    });

    for (std::size_t t = 1; t < all.size(); ++t) {
        std::ranges::transform(counts[0], counts[t], counts[0].begin(), std::plus());
        std::ranges::transform(columns[0], columns[t], columns[0].begin(),
                               [](Bits a, Bits b) { return std::max(a, b); });
    }
    for (const Bits largest : columns[0])
        stats.columnAbsMax.push_back(magnitudes.value(largest));
    std::vector<Counted> finite;
    for (std::size_t pattern = 0; pattern < counts[0].size(); ++pattern) {
        if (!std::isfinite(values[pattern]))
            stats.nonFinite += counts[0][pattern];
        else if (counts[0][pattern] > 0)
            finite.push_back({values[pattern], counts[0][pattern]});
    }
    std::ranges::sort(finite, {}, &Counted::value);
    if (!finite.empty())
        describe(stats, finite, bins);
    return stats;
}

} // namespace

std::vector<Rows> tasks(const Tensor& tensor)
{
    const long rows = tensor.rows();
    const long n = std::clamp(tensor.count() / kTaskWeights, 1L, std::min(kMostTasks, std::max(rows, 1L)));
    std::vector<Rows> all;
    for (long i = 0; i < n; ++i)
        all.push_back({rows * i / n, rows * (i + 1) / n});
    return all;
}

Histogram emptyHistogram(double low, double high, int bins)
{
    Histogram histogram {.low = low, .high = high, .counts = {}};
    histogram.counts.assign(high > low ? static_cast<std::size_t>(bins) : 1, 0);
    return histogram;
}

std::pair<double, double> centreOf(std::span<const Counted> values, std::uint64_t count)
{
    const auto leave = static_cast<std::uint64_t>(kTail * static_cast<double>(count));
    const auto edge = [&](auto first, auto last) {
        std::uint64_t seen = 0;
        return std::find_if(first, last, [&](const Counted& v) { return (seen += v.count) > leave; })->value;
    };
    return {edge(values.begin(), values.end()), edge(values.rbegin(), values.rend())};
}

void Moments::describe(TensorStats& stats) const
{
    stats.mean = mean;
    stats.std = std::sqrt(m2 / n);
    if (m2 > 0) {
        stats.skewness = m3 / n / std::pow(m2 / n, 1.5);
        stats.kurtosis = m4 / n / std::pow(m2 / n, 2) - 3;
    }
}

void Histogram::merge(const Histogram& part)
{
    assert(part.counts.size() == counts.size());
    std::ranges::transform(counts, part.counts, counts.begin(), std::plus());
    below += part.below;
    above += part.above;
}

std::vector<Channel> TensorStats::topChannels(std::size_t n) const
{
    std::vector<Channel> channels;
    for (std::size_t i = 0; i < columnAbsMax.size(); ++i)
        channels.push_back({static_cast<long>(i), columnAbsMax[i]});
    n = std::min(n, channels.size());
    const auto larger = [](const Channel& a, const Channel& b) {
        return std::pair(-a.absMax, a.index) < std::pair(-b.absMax, b.index);
    };
    std::partial_sort(channels.begin(), channels.begin() + static_cast<std::ptrdiff_t>(n), channels.end(), larger);
    channels.resize(n);
    return channels;
}

TensorStats tensorStats(const Tensor& tensor, int bins, Progress& progress)
{
    assert(bins > 0);
    TensorStats stats;
    if (tensor.count() > 0) {
        const bool plain = tensor.format->values == 1;
        stats = plain && tensor.format->bytes == 1 ? fromPatterns<std::uint8_t>(tensor, bins, progress)
            : plain && tensor.format->bytes == 2   ? fromPatterns<std::uint16_t>(tensor, bins, progress)
                                                   : statsInTwoRuns(tensor, bins, progress);
    }
    stats.count = static_cast<std::uint64_t>(tensor.count());
    stats.absMax = std::max(std::abs(stats.min), std::abs(stats.max));
    return stats;
}

} // namespace quern
