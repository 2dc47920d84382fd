#include "core/outputerror.h"

#include "core/distortion.h"

#include <algorithm>
#include <limits>

namespace quern {
namespace {

// tr(x H xᵀ)
double traceOf(const Matrix& x, const WalkMatrix& moments)
{
    Matrix products(x.rows(), x.cols());
    moments.multiply(x, 0, {0, x.cols()}, products);
    return std::max(products.cast<double>().cwiseProduct(x.cast<double>()).sum(), 0.0);
}

Matrix besides(const Matrix& a, const Matrix& b)
{
    Matrix both(a.rows(), a.cols() + b.cols());
    both << a, b;
    return both;
}

} // namespace

void OutputError::merge(const OutputError& other)
{
    error += other.error;
    power += other.power;
}

std::optional<double> OutputError::rho() const
{
    if (power > 0)
        return error / power;
    return error > 0 ? std::optional(std::numeric_limits<double>::infinity()) : std::nullopt;
}

OutputProbe::OutputProbe(const InputStats* stats, long matrix, std::shared_ptr<const WalkMatrix> moments)
    : m_moments(std::move(moments))
    , m_drifted(stats && stats->drifted)
{
    if (stats && stats->hessians.empty())
        m_importance = stats->importance(stats->sumSquares.rows() > 1 ? matrix : 0);
}

OutputError OutputProbe::measure(const Matrix& weights, const Matrix& decoded) const
{
    if (m_moments && m_drifted)
        return {traceOf(besides(weights - decoded, weights), *m_moments),
                traceOf(besides(weights, weights), *m_moments)};
    if (m_moments)
        return {traceOf(weights - decoded, *m_moments), traceOf(weights, *m_moments)};
    OutputError total;
    for (long row = 0; row < weights.rows() && !m_importance.empty(); ++row) {
        const Distortion d
            = distortion(weights.row(row).data(), decoded.row(row).data(), m_importance.data(), weights.cols());
        total.merge({d.outputError, d.outputPower});
    }
    return total;
}

} // namespace quern
