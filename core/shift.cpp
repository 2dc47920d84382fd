#include "core/shift.h"

#include "core/error.h"
#include "core/factor.h"
#include "core/parallel.h"
#include "core/solving.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

constexpr long kRows = 64; // solved for together

} // namespace

Matrix shiftOf(const Hessian& drifted, double trust, double damping, Progress& progress)
{
    assert(drifted.size % 2 == 0);
    const long n = drifted.size / 2;
    drifted.check(progress);
    const std::optional<Factor> factored = factor(
        n, [&](long i, long j) { return drifted.at(i, j); }, damping, progress);
    if (!factored)
        fail(QUERN_TEXT("core",
                        "The second moments of inputs of %1 columns have no factor. The model does not compute sound "
                        "numbers on this text; its weights may be damaged."),
             n);
    Matrix shift(n, n);
    parallelFor(n, progress, [&](long i) {
        for (long j = 0; j < n; ++j)
            shift(i, j) = drifted.at(n + i, j);
    });
    // S Ū D Ūᵀ = trust E[d xᵀ], row by row.
    const Eigen::Map<const Eigen::RowVectorXf> pivot(factored->pivot.data(), n);
    const auto unit = factored->unit.triangularView<Eigen::UnitUpper>();
    parallelFor((n + kRows - 1) / kRows, progress, [&](long part) {
        auto rows = shift.middleRows(part * kRows, std::min(kRows, n - part * kRows));
        unit.transpose().solveInPlace<Eigen::OnTheRight>(rows);
        rows.array().rowwise() *= static_cast<float>(trust) / pivot.array();
        unit.solveInPlace<Eigen::OnTheRight>(rows);
    });
    return shift;
}

void Shifts::add(const std::string& weight, const InputStats* inputs, Progress& progress)
{
    if (!inputs || !inputs->drifted)
        return;
    auto& shift = m_made[inputs->drifted.get()];
    if (!shift)
        shift = std::make_shared<const WalkMatrix>(shiftOf(*inputs->drifted, m_trust, kDamping.preset, progress),
                                                   progress);
    m_of[weight] = shift;
}

Matrix Shifts::rows(const Tensor& weight, long first, long n) const
{
    Matrix w(n, weight.cols()), by(n, weight.cols());
    decodeRows(weight, first, n, w.data());
    m_of.find(weight.name)->second->multiply(w, 0, {0, w.cols()}, by);
    return w + by;
}

} // namespace quern
