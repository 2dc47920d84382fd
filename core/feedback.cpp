#include "core/feedback.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace quern {
namespace {

constexpr long kWalk = 128; // columns whose errors reach each other one by one; further ones by a product of matrices

long blockLength(const BlockFormat& format, long cols)
{
    return format.values == 0 ? cols : format.values;
}

// Columns that are walked together: whole blocks, or parts of one.
long walkLength(long block)
{
    return block >= kWalk ? (block % kWalk == 0 && block > 2 * kWalk ? kWalk : block) : kWalk / block * block;
}

// Rows on their way through the columns. Columns are counted in the order of visits.
class Walk {
public:
    Walk(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
         std::span<std::byte> blocks)
        : m_curvature(curvature)
        , m_format(format)
        , m_fit(fit)
        , m_blocks(blocks)
        , m_block(blockLength(format, weights.cols()))
        , m_weights(weights.rows(), weights.cols())
        , m_errors(weights.rows(), weights.cols())
        , m_values(static_cast<std::size_t>(m_block))
        , m_importance(static_cast<std::size_t>(m_block))
        , m_dead(static_cast<std::size_t>(weights.cols()))
    {
        for (long s = 0; s < weights.cols(); ++s)
            m_weights.col(s) = weights.col(curvature.order[static_cast<std::size_t>(s)]);
        for (const long dead : curvature.factor.dead)
            m_dead[static_cast<std::size_t>(dead)] = true;
    }

    void run()
    {
        const long cols = m_weights.cols(), length = walkLength(m_block);
        for (long first = 0; first < cols; first += length) {
            const long n = std::min(length, cols - first);
            m_targets = m_weights.middleCols(first, n);
            if (first > 0)
                m_targets.noalias() += m_errors.leftCols(first) * m_curvature.factor.unit.block(0, first, first, n);
            for (long row = 0; row < m_weights.rows(); ++row)
                walk(row, first, n);
        }
    }

private:
    std::byte* block(long row, long column) const
    {
        const std::size_t offset = static_cast<std::size_t>(row) * m_format.rowBytes(m_weights.cols())
            + static_cast<std::size_t>(m_format.values == 0 ? 0 : column / m_block * m_format.bytes);
        return m_blocks.data() + offset;
    }

    // Fits the parameters of the block that visit `at` begins: to what its weights are to be by now, or, of a row, to
    // the weights themselves.
    void fit(long row, long at, const float* targets)
    {
        const long* order = m_curvature.order.data() + at;
        const long start = order[0] / m_block * m_block;
        for (long i = 0; i < m_block; ++i) {
            m_values[static_cast<std::size_t>(order[i] - start)] = targets[i];
            m_importance[static_cast<std::size_t>(i)] = m_curvature.importance[static_cast<std::size_t>(start + i)];
        }
        Fit fit = m_fit;
        fit.importance = m_importance;
        m_format.encode(m_format, m_values, fit, block(row, order[0]));
    }

    void walk(long row, long first, long n)
    {
        const Matrix& unit = m_curvature.factor.unit;
        auto targets = m_targets.row(row);
        for (long s = 0; s < n; ++s) {
            const long at = first + s, column = m_curvature.order[static_cast<std::size_t>(at)];
            if (at % m_block == 0)
                fit(row, at, m_format.values == 0 ? m_weights.row(row).data() : targets.data() + s);
            const bool dead = m_dead[static_cast<std::size_t>(at)];
            float value = dead ? 0.0f : targets[s];
            m_format.place(m_format, block(row, column), static_cast<int>(column % m_block), {&value, 1});
            const float error = dead ? 0.0f : m_weights(row, at) - value;
            m_errors(row, at) = error;
            targets.segment(s + 1, n - s - 1) += error * unit.row(at).segment(at + 1, n - s - 1);
        }
    }

    const Curvature& m_curvature;
    const BlockFormat& m_format;
    Fit m_fit;
    std::span<std::byte> m_blocks;
    long m_block;
    Matrix m_weights, m_errors, m_targets;     // targets: of the columns that are walked now
    std::vector<float> m_values, m_importance; // of the block that is fitted now, in its own order
    std::vector<bool> m_dead;
};

} // namespace

std::vector<long> visits(std::span<const float> importance, const BlockFormat& format, Ordering ordering)
{
    std::vector<long> order(importance.size());
    std::iota(order.begin(), order.end(), 0L);
    if (ordering == Ordering::Natural)
        return order;
    const long block = blockLength(format, static_cast<long>(order.size()));
    const auto weight = [&](long column) { return importance[static_cast<std::size_t>(column)]; };
    std::vector<float> largest(order.size() / static_cast<std::size_t>(block));
    for (const long column : order) {
        float& of = largest[static_cast<std::size_t>(column / block)];
        of = std::max(of, weight(column));
    }
    std::ranges::stable_sort(order, [&](long a, long b) {
        const float first = largest[static_cast<std::size_t>(a / block)],
                    second = largest[static_cast<std::size_t>(b / block)];
        if (a / block != b / block)
            return first != second ? first > second : a / block < b / block;
        return weight(a) > weight(b);
    });
    return order;
}

void encodeWithFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
                        std::span<std::byte> blocks)
{
    assert(format.place && format.group == 1 && format.fits(weights.cols()));
    Walk(weights, curvature, format, fit, blocks).run();
}

void descend(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, int passes,
             std::span<std::byte> blocks)
{
    const Matrix& hessian = *curvature.hessian;
    const long cols = weights.cols(), block = blockLength(format, cols);
    const std::size_t rowBytes = format.rowBytes(cols);
    Matrix errors(weights.rows(), cols), slopes;
    for (long row = 0; row < weights.rows(); ++row) {
        auto decoded = errors.row(row);
        format.decode(format, blocks.data() + static_cast<std::size_t>(row) * rowBytes,
                      {decoded.data(), static_cast<std::size_t>(cols)});
        decoded = weights.row(row) - decoded;
    }
    bool moved = true;
    for (int pass = 0; pass < passes && moved; ++pass) {
        moved = false;
        for (long first = 0; first < cols; first += kWalk) {
            const long n = std::min(kWalk, cols - first);
            slopes.noalias() = errors * hessian.middleCols(first, n);
            for (long row = 0; row < weights.rows(); ++row)
                for (long s = 0; s < n; ++s) {
                    const long column = first + s;
                    const float curve = hessian(column, column);
                    if (curve <= 0)
                        continue;
                    const float now = weights(row, column) - errors(row, column), best = now + slopes(row, s) / curve;
                    std::byte* at = blocks.data() + static_cast<std::size_t>(row) * rowBytes
                        + static_cast<std::size_t>(format.values == 0 ? 0 : column / block * format.bytes);
                    float value = best;
                    format.place(format, at, static_cast<int>(column % block), {&value, 1});
                    if (std::abs(value - best) >= std::abs(now - best)) { // no nearer: as it was
                        value = now;
                        format.place(format, at, static_cast<int>(column % block), {&value, 1});
                        continue;
                    }
                    moved = true;
                    errors(row, column) = weights(row, column) - value;
                    slopes.row(row) -= (value - now) * hessian.row(column).segment(first, n);
                }
        }
    }
}

Eigen::VectorXd costs(const Matrix& errors, const Matrix& hessian)
{
    return (errors * hessian).cwiseProduct(errors).cast<double>().rowwise().sum();
}

} // namespace quern
