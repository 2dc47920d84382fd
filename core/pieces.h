#pragma once

#include "core/parallel.h"
#include "core/quantizer.h"

#include <algorithm>

namespace quern {

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
