#include "core/stats.h"

#include "core/parallel.h"
#include "core/patterns.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace quern {
namespace {

constexpr double kOutlier = 6;   // standard deviations
constexpr double kTail = 0.0005; // share of the weights left out at each end of the centre
constexpr long kTaskWeights = 1 << 20;
constexpr long kMostTasks = 16;

// Rows [first, last) of a task. Few tasks, as each has tables of its own; their number never depends on that of
// threads.
struct Rows {
    long first, last;
};

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

void add(Histogram& histogram, double value, std::uint64_t count)
{
    if (value < histogram.low)
        histogram.below += count;
    else if (value > histogram.high)
        histogram.above += count;
    else
        histogram.counts[histogram.bin(value)] += count;
}

// A value and how often it occurs.
struct Counted {
    double value;
    std::uint64_t count;
};

// The values between which all but a share kTail at each end lie. values: ascending, not empty.
std::pair<double, double> centreOf(std::span<const Counted> values, std::uint64_t count)
{
    const auto leave = static_cast<std::uint64_t>(kTail * static_cast<double>(count));
    const auto edge = [&](auto first, auto last) {
        std::uint64_t seen = 0;
        return std::find_if(first, last, [&](const Counted& v) { return (seen += v.count) > leave; })->value;
    };
    return {edge(values.begin(), values.end()), edge(values.rbegin(), values.rend())};
}

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
    stats.mean = sum / total;
    double m2 = 0, m3 = 0, m4 = 0;
    for (const auto& [value, count] : values) {
        const double d = value - stats.mean, c = static_cast<double>(count);
        m2 += c * d * d;
        m3 += c * d * d * d;
        m4 += c * d * d * d * d;
    }
    stats.min = values.front().value;
    stats.max = values.back().value;
    stats.std = std::sqrt(m2 / total);
    if (m2 > 0) {
        stats.skewness = m3 / total / std::pow(m2 / total, 1.5);
        stats.kurtosis = m4 / total / std::pow(m2 / total, 2) - 3;
    }
    const auto [low, high] = centreOf(values, n);
    stats.histogram = emptyHistogram(stats.min, stats.max, bins);
    stats.centre = emptyHistogram(low, high, bins);
    for (const auto& [value, count] : values) {
        add(stats.histogram, value, count);
        add(stats.centre, value, count);
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

// Moments of a part, to be merged in order (Chan, Golub, LeVeque 1979; Pébay 2008 for the third and fourth).
struct Moments {
    double n = 0, mean = 0, m2 = 0, m3 = 0, m4 = 0;

    void merge(const Moments& b)
    {
        if (b.n == 0)
            return;
        const double all = n + b.n, d = b.mean - mean, na = n, nb = b.n;
        const double d2 = d * d, shared = na * nb / all;
        m4 += b.m4 + d2 * d2 * shared * (na * na - na * nb + nb * nb) / (all * all)
            + 6 * d2 * (na * na * b.m2 + nb * nb * m2) / (all * all) + 4 * d * (na * b.m3 - nb * m3) / all;
        m3 += b.m3 + d2 * d * shared * (na - nb) / all + 3 * d * (na * b.m2 - nb * m2) / all;
        m2 += b.m2 + d2 * shared;
        mean += d * nb / all;
        n = all;
    }
};

// Sums side by side, so that additions need not wait for each other.
class Lanes {
public:
    void add(std::size_t i, double value) { m_sums[i % m_sums.size()] += value; }
    double total() const
    {
        double sum = 0;
        for (const double lane : m_sums)
            sum += lane;
        return sum;
    }

private:
    std::array<double, 8> m_sums {};
};

Moments momentsOf(std::span<const float> x)
{
    if (x.empty())
        return {};
    Lanes sum, m2, m3, m4;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum.add(i, x[i]);
    const auto n = static_cast<double>(x.size());
    const double mean = sum.total() / n;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double d = x[i] - mean, d2 = d * d;
        m2.add(i, d2);
        m3.add(i, d2 * d);
        m4.add(i, d2 * d2);
    }
    return {.n = n, .mean = mean, .m2 = m2.total(), .m3 = m3.total(), .m4 = m4.total()};
}

// What the first run over a tensor of wider values finds in one task's rows.
struct FirstRun {
    Moments moments;
    float min = std::numeric_limits<float>::infinity(), max = -std::numeric_limits<float>::infinity();
    std::uint64_t zeros = 0;
    std::vector<float> columns;
    std::vector<std::uint32_t> upperHalves; // how many floats begin with these 16 bits
};

// Decodes a row and moves its finite values together; larger magnitudes are entered in columns.
class RowReader {
public:
    explicit RowReader(const Tensor& tensor)
        : m_tensor(tensor)
        , m_values(static_cast<std::size_t>(tensor.cols()))
    {
    }

    std::span<const float> read(long row, std::vector<float>* columns)
    {
        decodeRows(m_tensor, row, 1, m_values.data());
        std::size_t n = 0;
        for (std::size_t c = 0; c < m_values.size(); ++c) {
            const float v = m_values[c];
            if (!std::isfinite(v))
                continue;
            if (columns)
                (*columns)[c] = std::max((*columns)[c], std::abs(v));
            m_values[n++] = v;
        }
        return {m_values.data(), n};
    }

private:
    const Tensor& m_tensor;
    std::vector<float> m_values;
};

void addRow(FirstRun& run, std::span<const float> x, float& rowLargest)
{
    for (const float v : x) {
        run.min = std::min(run.min, v);
        run.max = std::max(run.max, v);
        run.zeros += v == 0;
        rowLargest = std::max(rowLargest, std::abs(v));
        ++run.upperHalves[std::bit_cast<std::uint32_t>(v) >> 16];
    }
    run.moments.merge(momentsOf(x));
}

FirstRun merged(std::vector<FirstRun>& runs)
{
    FirstRun all = std::move(runs.front());
    for (std::size_t t = 1; t < runs.size(); ++t) {
        all.moments.merge(runs[t].moments);
        all.min = std::min(all.min, runs[t].min);
        all.max = std::max(all.max, runs[t].max);
        all.zeros += runs[t].zeros;
        std::ranges::transform(all.columns, runs[t].columns, all.columns.begin(),
                               [](float a, float b) { return std::max(a, b); });
        std::ranges::transform(all.upperHalves, runs[t].upperHalves, all.upperHalves.begin(), std::plus());
    }
    return all;
}

// Edges of the centre from the upper halves of floats, moved outward to where those begin or end.
std::pair<double, double> centreOf(const FirstRun& run)
{
    std::vector<Counted> values;
    for (std::size_t half = 0; half < run.upperHalves.size(); ++half)
        if (run.upperHalves[half] > 0) {
            const auto bits = static_cast<std::uint32_t>(half) << 16;
            values.push_back({std::bit_cast<float>(bits), run.upperHalves[half]});
        }
    std::ranges::sort(values, {}, &Counted::value);
    const auto outward = [](double edge, bool up) {
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(edge));
        const bool away = up == !std::signbit(edge);
        return static_cast<double>(std::bit_cast<float>(away ? bits | 0xFFFFU : bits));
    };
    const auto [low, high] = centreOf(values, static_cast<std::uint64_t>(run.moments.n));
    return {std::max<double>(outward(low, false), run.min), std::min<double>(outward(high, true), run.max)};
}

void secondRun(TensorStats& stats, const Tensor& tensor, std::span<const Rows> all, Progress& progress)
{
    struct Part {
        Histogram histogram, centre;
        std::uint64_t outliers = 0;
    };
    std::vector<Part> parts(all.size(), {stats.histogram, stats.centre});
    parallelFor(static_cast<long>(all.size()), progress, [&](long i) {
        Part& part = parts[static_cast<std::size_t>(i)];
        RowReader reader(tensor);
        for (long row = all[static_cast<std::size_t>(i)].first; row < all[static_cast<std::size_t>(i)].last; ++row) {
            progress.check();
            for (const float v : reader.read(row, nullptr)) {
                add(part.histogram, v, 1);
                add(part.centre, v, 1);
                part.outliers += std::abs(v - stats.mean) > kOutlier * stats.std;
            }
        }
    });
    const auto merge = [](Histogram& into, const Histogram& part) {
        std::ranges::transform(into.counts, part.counts, into.counts.begin(), std::plus());
        into.below += part.below;
        into.above += part.above;
    };
    for (const Part& part : parts) {
        merge(stats.histogram, part.histogram);
        merge(stats.centre, part.centre);
        stats.outliers += part.outliers;
    }
}

TensorStats inTwoRuns(const Tensor& tensor, int bins, Progress& progress)
{
    const std::vector<Rows> all = tasks(tensor);
    std::vector<FirstRun> runs(all.size());
    TensorStats stats;
    stats.rowAbsMax.resize(static_cast<std::size_t>(tensor.rows()));
    parallelFor(static_cast<long>(all.size()), progress, [&](long i) {
        FirstRun& run = runs[static_cast<std::size_t>(i)];
        run.columns.resize(static_cast<std::size_t>(tensor.cols()));
        run.upperHalves.resize(std::size_t {1} << 16);
        RowReader reader(tensor);
        for (long row = all[static_cast<std::size_t>(i)].first; row < all[static_cast<std::size_t>(i)].last; ++row) {
            progress.check();
            addRow(run, reader.read(row, &run.columns), stats.rowAbsMax[static_cast<std::size_t>(row)]);
        }
    });
    FirstRun run = merged(runs);
    const Moments& m = run.moments;
    stats.columnAbsMax = std::move(run.columns);
    stats.nonFinite = static_cast<std::uint64_t>(tensor.count()) - static_cast<std::uint64_t>(m.n);
    if (m.n == 0)
        return stats;
    stats.zeros = run.zeros;
    stats.min = run.min;
    stats.max = run.max;
    stats.mean = m.mean;
    stats.std = std::sqrt(m.m2 / m.n);
    if (m.m2 > 0) {
        stats.skewness = m.m3 / m.n / std::pow(m.m2 / m.n, 1.5);
        stats.kurtosis = m.m4 / m.n / std::pow(m.m2 / m.n, 2) - 3;
    }
    const auto [low, high] = centreOf(run);
    stats.histogram = emptyHistogram(stats.min, stats.max, bins);
    stats.centre = emptyHistogram(low, high, bins);
    secondRun(stats, tensor, all, progress);
    return stats;
}

} // namespace

std::size_t Histogram::bin(double value) const
{
    if (!(high > low))
        return 0;
    const auto n = static_cast<double>(counts.size());
    return std::min(counts.size() - 1, static_cast<std::size_t>((value - low) / (high - low) * n));
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
                                                   : inTwoRuns(tensor, bins, progress);
    }
    stats.count = static_cast<std::uint64_t>(tensor.count());
    stats.absMax = std::max(std::abs(stats.min), std::abs(stats.max));
    return stats;
}

} // namespace quern
