#include "core/feedback.h"

#include "core/metric.h"
#include "core/rows.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace quern {
namespace {

constexpr long kWalk = WalkMatrix::kWalk;

// to += factor * from
void add(float factor, const float* from, float* to, long n)
{
    for (long i = 0; i < n; ++i)
        to[i] += factor * from[i];
}

// Rows on their way through the columns, which are counted in the order of visits.
class Walk {
public:
    Walk(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
         std::span<std::byte> blocks)
        : m_curvature(curvature)
        , m_feedback(*curvature.feedback)
        , m_format(format)
        , m_fit(fit)
        , m_blocks(blocks)
        , m_weights(weights.rows(), weights.cols())
        , m_errors(weights.rows(), weights.cols())
    {
        for (long row = 0; row < weights.rows(); ++row)
            for (long s = 0; s < weights.cols(); ++s)
                m_weights(row, s) = weights(row, column(s));
        if (m_format.group > 1)
            makeMetrics();
        if (fitsBefore())
            fitRows(weights);
    }

    void run()
    {
        const long cols = m_weights.cols();
        const long step = fitsBefore() ? kWalk : m_format.values;
        for (m_first = 0; m_first < cols; m_first += kWalk) {
            m_targets.resize(m_weights.rows(), std::min(kWalk, cols - m_first));
            m_targets.setZero();
            m_feedback.unit.multiply(m_errors, m_first, {0, m_first}, m_targets);
            m_targets += m_weights.middleCols(m_first, m_targets.cols());
            for (long s = 0; s < m_targets.cols(); s += step) {
                const long n = std::min(step, m_targets.cols() - s);
                if (!fitsBefore())
                    fitBlocks(s);
                if (m_format.group > 1)
                    for (long code = s; code < s + n; code += m_format.group)
                        walkCodes(code);
                else
                    for (long row = 0; row < m_weights.rows(); ++row)
                        walk(row, s, n);
            }
        }
    }

private:
    long column(long visit) const { return m_feedback.order[static_cast<std::size_t>(visit)]; }
    bool fitsBefore() const { return m_format.values == 0 || m_feedback.ordering == Ordering::Columns; }
    StoredRow rowAt(long row) { return storedRow(m_format, m_blocks, row, m_weights.cols()); }

    void fitRows(const Matrix& weights)
    {
        Fit fit = m_fit;
        fit.importance = m_curvature.diagonal;
        encodeRows(m_format, weights, fit, m_blocks);
    }

    // The parameters of the block whose first visit is m_first + s, of all rows: encoders take many blocks at once.
    void fitBlocks(long s)
    {
        const long n = m_format.values, rows = m_weights.rows(), start = column(m_first + s) / n * n;
        const auto bytes = static_cast<std::size_t>(m_format.bytes);
        m_values.resize(static_cast<std::size_t>(rows * n));
        m_importance.resize(m_values.size());
        m_fitted.resize(static_cast<std::size_t>(rows) * bytes);
        std::array<float, kWalk> x;
        for (long row = 0; row < rows; ++row) {
            wanted(row, s, n, x.data());
            for (long i = 0; i < n; ++i)
                m_values[static_cast<std::size_t>(row * n + column(m_first + s + i) - start)]
                    = x[static_cast<std::size_t>(i)];
            std::copy_n(m_curvature.diagonal.begin() + start, n, m_importance.begin() + row * n);
        }
        Fit fit = m_fit;
        fit.importance = m_importance;
        m_format.encode(m_format, m_values, fit, m_fitted.data());
        for (long row = 0; row < rows; ++row)
            std::copy_n(m_fitted.data() + static_cast<std::size_t>(row) * bytes, bytes, rowAt(row).at(start));
    }

    // The columns [s, s + n) of those at m_targets.
    void walk(long row, long s, long n)
    {
        const StoredRow to = rowAt(row);
        for (long last = s + n; s < last; ++s) {
            float x = m_targets(row, s);
            to.place(column(m_first + s), {&x, 1});
            pass(row, s, x);
        }
    }

    // Those of all rows that share a code with column s.
    void walkCodes(long s)
    {
        const long visit = m_first + s, group = m_format.group;
        std::vector<Metric::Code> codes(static_cast<std::size_t>(m_weights.rows()));
        for (long row = 0; row < m_weights.rows(); ++row) {
            codes[static_cast<std::size_t>(row)].block = rowAt(row).at(column(visit));
            wanted(row, s, group, codes[static_cast<std::size_t>(row)].values.data());
        }
        Metric(m_metrics.row(visit).data(), group, group)
            .place(m_format, static_cast<int>(column(visit) % m_format.values), codes);
        for (long row = 0; row < m_weights.rows(); ++row)
            for (long i = 0; i < group; ++i)
                pass(row, s + i, codes[static_cast<std::size_t>(row)].values[static_cast<std::size_t>(i)]);
    }

    // Column s is stored as x: passes its error on.
    void pass(long row, long s, float x)
    {
        const float error = m_weights(row, m_first + s) - x;
        m_errors(row, m_first + s) = error;
        const long next = s / m_format.group * m_format.group + m_format.group;
        add(error, m_feedback.unit.near.row(m_first + s).data() + next, m_targets.row(row).data() + next,
            m_targets.cols() - next);
    }

    // What the weights of the n columns from s on would be best, not rounded, after the errors so far. Targets hold
    // w + (those errors) Ū; what changes in these columns meets the ones after it by its diagonal block: x - w solves
    // (x - w) Ū = target - w.
    void wanted(long row, long s, long n, float* x) const
    {
        const float *weights = m_weights.row(row).data() + m_first + s, *targets = m_targets.row(row).data() + s;
        for (long i = 0; i < n; ++i)
            x[i] = targets[i] - weights[i];
        for (long i = 0; i < n; ++i)
            add(-x[i], m_feedback.unit.near.row(m_first + s + i).data() + s + i + 1, x + i + 1, n - i - 1);
        for (long i = 0; i < n; ++i)
            x[i] += weights[i];
    }

    // What errors of the weights of a code cost, the best of all columns after them being made of them: (rows of Ū) D
    // (rows of Ū)ᵀ within the code.
    void makeMetrics()
    {
        const long group = m_format.group;
        m_metrics.resize(m_weights.cols(), group);
        for (long first = 0; first < m_weights.cols(); first += group)
            for (long i = 0; i < group; ++i)
                for (long j = 0; j <= i; ++j) {
                    double sum = 0;
                    for (long k = i; k < group; ++k)
                        sum += double {unit(first + i, first + k)} * double {unit(first + j, first + k)}
                            * double {pivot(first + k)};
                    m_metrics(first + i, j) = m_metrics(first + j, i) = static_cast<float>(sum);
                }
    }
    float unit(long row, long visit) const { return m_feedback.unit.near(row, visit % kWalk); }
    // 0 where the input was always 0.
    float pivot(long visit) const
    {
        const bool seen = m_curvature.diagonal[static_cast<std::size_t>(column(visit))] > 0;
        return seen ? m_feedback.pivot[static_cast<std::size_t>(visit)] : 0;
    }

    const Curvature& m_curvature;
    const Feedback& m_feedback;
    const BlockFormat& m_format;
    Fit m_fit;
    std::span<std::byte> m_blocks;
    Matrix m_weights, m_errors; // in the order of visits; errors as far as the walk has come
    Matrix m_metrics;           // n x weights of a code: a square for each code; empty if a code has one weight
    long m_first = 0;
    Matrix m_targets; // of the columns that are walked now, from m_first on
    std::vector<float> m_values, m_importance;
    std::vector<std::byte> m_fitted;
};

} // namespace

bool canSolve(const BlockFormat& format)
{
    return format.encode && format.place && !format.floating();
}

void encodeWithFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
                        std::span<std::byte> blocks)
{
    assert(curvature.feedback && format.place && format.fits(weights.cols()));
    assert(format.values == 0 || kWalk % format.values == 0);
    assert(static_cast<std::size_t>(format.group) <= Metric::kLargest && kWalk % format.group == 0);
    Walk(weights, curvature, format, fit, blocks).run();
}

} // namespace quern
