#pragma once

#include "core/curvature.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/quantizer.h"

#include <algorithm>

// What the methods that minimise tr(E H Eᵀ) have in common.
namespace quern {

inline constexpr Param kDamping {"damping", QUERN_TEXT("core", "Damping"), 0, 1, 0.01};
inline constexpr const char* kOrderings[] {QUERN_TEXT("core", "natural"), QUERN_TEXT("core", "by blocks"),
                                           QUERN_TEXT("core", "by columns")}; // of enum Ordering
inline constexpr Param kOrdering {"ordering", QUERN_TEXT("core", "Ordering"), 0, 2, 1, kOrderings};

// Of methods with feedback, and those two settings.
inline CurvatureNeeds feedbackNeeds(const Settings& settings, bool moments)
{
    return {.moments = moments,
            .feedback = true,
            .damping = setting(settings, kDamping),
            .ordering = static_cast<Ordering>(setting(settings, kOrdering))};
}

// Gives a matrix by pieces of rows to solve(weights, blocks), on all cores: enough rows for their products with H to be
// worth it, few enough for all cores to have some.
template <typename Solve>
void solvePieces(const QuantizerInput& in, std::span<std::byte> out, Progress& progress, Solve&& solve)
{
    constexpr long kRows = 32;
    const std::size_t rowBytes = in.format.rowBytes(in.weights.cols());
    parallelFor((in.weights.rows() + kRows - 1) / kRows, progress, [&](long piece) {
        const long first = piece * kRows, rows = std::min(kRows, in.weights.rows() - first);
        const Matrix weights = in.weights.middleRows(first, rows);
        solve(weights,
              out.subspan(static_cast<std::size_t>(first) * rowBytes, static_cast<std::size_t>(rows) * rowBytes));
    });
}

} // namespace quern
