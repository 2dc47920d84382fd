#include "core/parallel.h"
#include "core/tally.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace quern {
namespace {

// Moments of all values from those of two parts (Chan, Golub, LeVeque 1979; Pébay 2008 for the third and fourth).
void merge(Moments& a, const Moments& b)
{
    if (b.n == 0)
        return;
    const double all = a.n + b.n, d = b.mean - a.mean, na = a.n, nb = b.n;
    const double d2 = d * d, shared = na * nb / all;
    a.m4 += b.m4 + d2 * d2 * shared * (na * na - na * nb + nb * nb) / (all * all)
        + 6 * d2 * (na * na * b.m2 + nb * nb * a.m2) / (all * all) + 4 * d * (na * b.m3 - nb * a.m3) / all;
    a.m3 += b.m3 + d2 * d * shared * (na - nb) / all + 3 * d * (na * b.m2 - nb * a.m2) / all;
    a.m2 += b.m2 + d2 * shared;
    a.mean += d * nb / all;
    a.n = all;
}

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
    merge(run.moments, momentsOf(x));
}

FirstRun merged(std::vector<FirstRun>& runs)
{
    FirstRun all = std::move(runs.front());
    for (std::size_t t = 1; t < runs.size(); ++t) {
        merge(all.moments, runs[t].moments);
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
                part.histogram.add(v);
                part.centre.add(v);
                part.outliers += std::abs(v - stats.mean) > kOutlier * stats.std;
            }
        }
    });
    for (const Part& part : parts) {
        stats.histogram.merge(part.histogram);
        stats.centre.merge(part.centre);
        stats.outliers += part.outliers;
    }
}

} // namespace

TensorStats statsInTwoRuns(const Tensor& tensor, int bins, Progress& progress)
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
    m.describe(stats);
    const auto [low, high] = centreOf(run);
    stats.histogram = emptyHistogram(stats.min, stats.max, bins);
    stats.centre = emptyHistogram(low, high, bins);
    secondRun(stats, tensor, all, progress);
    return stats;
}

} // namespace quern
