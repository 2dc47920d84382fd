#pragma once

#include "core/curvature.h"

// How the solvers choose codes. Rows do not depend on each other: a row's codes are the same in any slab.
namespace quern {

// Formats that have grids or codebooks to choose from.
bool canSolve(const BlockFormat& format);

// GPTQ on the grids of any format (Frantar et al. 2022, algorithm 1; here with the factor of H itself, see Factor):
// walks the columns, and what rounding one costs is made up for by those that follow. Where several weights share a
// code, they are walked together: the diagonal blocks of the factor then are as large as a code (Tseng et al. 2024,
// QuIP#, section 4.1), and the code is sought that costs least by its block. A block's parameters are fitted, with the
// diagonal of H as importance, when the first of its columns is reached, to what its columns are to be by then; those
// of Scope::Row and Scope::Tensor to the weights themselves. Weights whose input was always 0 are rounded, and neither
// pass anything on nor take anything, since it may not stay 0 on other texts. weights: rows x n, all finite. fit: range
// and effort. blocks: rows of format.rowBytes(n), filled. curvature: with feedback.
void encodeWithFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
                        std::span<std::byte> blocks);

} // namespace quern
