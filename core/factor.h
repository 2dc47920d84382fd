#pragma once

#include "core/progress.h"
#include "core/tensor.h"

#include <functional>
#include <optional>

namespace quern {

// H + damping = Ū D Ūᵀ, H = E[x xᵀ] of a weight's inputs. Errors E of a row then cost
//     tr(E H Eᵀ) = sum over columns j of D_j (E_j + sum over i < j of E_i Ū_ij)²,
// so that walking columns from the left, each column's target is w_j + sum over i < j of E_i Ū_ij: GPTQ in its own
// order, without an inverse (Frantar et al. 2022, section 3.3; with Ū = U^-1 of its Cholesky factor U of H^-1).
struct Factor {
    Matrix unit;              // Ū: n x n, unit upper triangular; zeros below the diagonal
    std::vector<float> pivot; // D: n, positive
    double damping = 0;       // what was added to the diagonal, as a share of its mean
    bool doubled = false;     // single precision did not do
    std::vector<long> dead;   // inputs that were always 0: their weights do not matter
};

// Factors H: one Cholesky decomposition of H with its columns and rows in reverse, blocked, on all cores; the same bits
// for any number of threads, in the memory that the result takes. Where single precision fails, double does it; where
// both fail, damping grows, up to the mean of the diagonal. Null if nothing helps. hessian(i, j): n x n, symmetric, of
// which the lower triangle is read, by many threads; finite (asserted).
std::optional<Factor> factor(long n, const std::function<float(long, long)>& hessian, double damping,
                             Progress& progress);
std::optional<Factor> factor(const Matrix& hessian, double damping, Progress& progress);

} // namespace quern
