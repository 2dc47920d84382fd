#include "core/feedback.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

constexpr long kWalk = WalkMatrix::kWalk;

// Where the codes of a row lie, column by column.
struct Row {
    const BlockFormat& format;
    std::byte* bytes;
    long block; // columns in a block

    std::byte* at(long column) const { return bytes + (format.values == 0 ? 0 : column / block * format.bytes); }
    // Stores x in `column` and returns what it is there.
    float place(long column, float x) const
    {
        format.place(format, at(column), static_cast<int>(column % block), {&x, 1});
        return x;
    }
};

Row rowOf(const BlockFormat& format, std::span<std::byte> blocks, long row, long cols)
{
    return {format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(cols),
            format.values == 0 ? cols : format.values};
}

// Rows on their way through the columns, which are counted in the order of visits.
class Walk {
public:
    Walk(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit)
        : m_curvature(curvature)
        , m_feedback(*curvature.feedback)
        , m_format(format)
        , m_fit(fit)
        , m_weights(weights.rows(), weights.cols())
        , m_errors(Matrix::Zero(weights.rows(), weights.cols()))
    {
        for (long s = 0; s < weights.cols(); ++s)
            m_weights.col(s) = weights.col(column(s));
    }

    void run(const Matrix& weights, std::span<std::byte> blocks)
    {
        const long cols = m_weights.cols();
        for (long first = 0; first < cols; first += kWalk) {
            const long n = std::min(kWalk, cols - first);
            m_targets = Matrix::Zero(m_weights.rows(), n);
            if (first > 0)
                m_feedback.unit.multiply(m_errors, first, first, m_targets);
            m_targets += m_weights.middleCols(first, n);
            for (long row = 0; row < m_weights.rows(); ++row) {
                const Row to = rowOf(m_format, blocks, row, cols);
                if (m_format.values == 0 && first == 0)
                    fit(to, 0, weights.row(row).data(), cols);
                walk(row, first, to);
            }
        }
    }

private:
    long column(long visit) const { return m_feedback.order[static_cast<std::size_t>(visit)]; }

    // Chooses the parameters of the block that begins at `start`. values: of its n columns.
    void fit(const Row& to, long start, const float* values, long n)
    {
        Fit fit = m_fit;
        fit.importance = std::span(m_curvature.diagonal).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(n));
        m_format.encode(m_format, {values, static_cast<std::size_t>(n)}, fit, to.at(start));
    }

    // To what the targets, of the block whose first visit is `visit`, are by now.
    void fitToTargets(const Row& to, long visit, const float* targets)
    {
        const long start = column(visit) / to.block * to.block;
        std::array<float, kWalk> values;
        for (long i = 0; i < to.block; ++i)
            values[static_cast<std::size_t>(column(visit + i) - start)] = targets[i];
        fit(to, start, values.data(), to.block);
    }

    void walk(long row, long first, const Row& to)
    {
        auto targets = m_targets.row(row);
        const long n = targets.size();
        for (long s = 0; s < n; ++s) {
            const long visit = first + s;
            if (m_format.values != 0 && visit % to.block == 0)
                fitToTargets(to, visit, targets.data() + s);
            const bool dead = m_feedback.dead[static_cast<std::size_t>(visit)];
            const float value = to.place(column(visit), dead ? 0.0F : targets[s]);
            if (dead)
                continue;
            const float error = m_weights(row, visit) - value;
            m_errors(row, visit) = error;
            const long rest = n - s - 1;
            targets.tail(rest) += error * m_feedback.unit.near.row(visit).segment(s + 1, rest);
        }
    }

    const Curvature& m_curvature;
    const Feedback& m_feedback;
    const BlockFormat& m_format;
    Fit m_fit;
    Matrix m_weights, m_errors; // in the order of visits
    Matrix m_targets;           // of the columns that are walked now
};

Matrix errorsOf(const Matrix& weights, const BlockFormat& format, std::span<const std::byte> blocks)
{
    Matrix errors(weights.rows(), weights.cols());
    for (long row = 0; row < weights.rows(); ++row)
        format.decode(format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(weights.cols()),
                      {errors.row(row).data(), static_cast<std::size_t>(weights.cols())});
    return weights - errors;
}

// One row's columns from `first`: true if one has moved. slopes: e H of these columns, kept up to date.
bool descendRow(const Curvature& curvature, const Row& to, long first, const float* weights, float* errors,
                Eigen::Ref<Eigen::RowVectorXf> slopes)
{
    bool moved = false;
    for (long s = 0; s < slopes.size(); ++s) {
        const long column = first + s;
        const float curve = curvature.diagonal[static_cast<std::size_t>(column)];
        if (!(curve > 0))
            continue;
        const float now = weights[column] - errors[column], best = now + slopes[s] / curve;
        const float value = to.place(column, best);
        if (std::abs(value - best) >= std::abs(now - best)) { // no nearer: as it was
            to.place(column, now);
            continue;
        }
        moved = true;
        errors[column] = weights[column] - value;
        slopes -= (value - now) * curvature.moments.near.row(column).head(slopes.size());
    }
    return moved;
}

} // namespace

void encodeWithFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
                        std::span<std::byte> blocks)
{
    assert(curvature.feedback && format.place && format.group == 1 && format.fits(weights.cols()));
    assert(format.values == 0 || kWalk % format.values == 0);
    Walk(weights, curvature, format, fit).run(weights, blocks);
}

void descend(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, int passes,
             std::span<std::byte> blocks)
{
    const long cols = weights.cols();
    Matrix errors = errorsOf(weights, format, blocks);
    bool moved = true;
    for (int pass = 0; pass < passes && moved; ++pass) {
        moved = false;
        for (long first = 0; first < cols; first += kWalk) {
            Matrix slopes(weights.rows(), std::min(kWalk, cols - first));
            curvature.moments.multiply(errors, first, cols, slopes);
            for (long row = 0; row < weights.rows(); ++row)
                moved |= descendRow(curvature, rowOf(format, blocks, row, cols), first, weights.row(row).data(),
                                    errors.row(row).data(), slopes.row(row));
        }
    }
}

std::vector<double> costs(const Matrix& weights, const Curvature& curvature, const BlockFormat& format,
                          std::span<const std::byte> blocks)
{
    const long cols = weights.cols();
    const Matrix errors = errorsOf(weights, format, blocks);
    std::vector<double> total(static_cast<std::size_t>(weights.rows()));
    for (long first = 0; first < cols; first += kWalk) {
        Matrix slopes(weights.rows(), std::min(kWalk, cols - first));
        curvature.moments.multiply(errors, first, cols, slopes);
        for (long row = 0; row < weights.rows(); ++row)
            total[static_cast<std::size_t>(row)] += slopes.row(row)
                                                        .cast<double>()
                                                        .dot(errors.row(row).segment(first, slopes.cols()).cast<double>());
    }
    return total;
}

} // namespace quern
