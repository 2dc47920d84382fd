#pragma once

#include "core/blockformat.h"
#include "core/factor.h"
#include "core/hessian.h"
#include "core/multiply.h"

#include <memory>

// What the errors of a matrix cost, tr(E H Eᵀ), H = E[x xᵀ] of its inputs, made ready for methods that walk its
// columns.
namespace quern {

// In which order columns are walked. Blocks of a format stay together where their parameters are fitted when the first
// of their columns is reached. Columns that share a code always do, in their own order.
enum class Ordering {
    Natural,
    Largest, // blocks, and the codes within a block, by their largest E[x_j²], the largest first
    Columns, // codes by their largest E[x_j²], wherever they are; parameters are fitted to the weights before
};
std::vector<long> visits(std::span<const float> diagonal, const BlockFormat& format, Ordering ordering);

struct ColumnRange {
    long first, end;
};

// An n x n matrix A as walks need it: kWalk columns at a time, whose rows meet each other one by one.
struct WalkMatrix {
    static constexpr long kWalk = 256; // the largest block of a format of blocks; all others divide it

    PackedMatrix columns; // column j of A as out feature j: y = x A
    Matrix near;          // n x kWalk: near(i, j) = A(i, i / kWalk * kWalk + j)

    WalkMatrix() = default;
    WalkMatrix(const Matrix& a, Progress& progress);
    WalkMatrix(const Hessian& h, Progress& progress); // h: checked
    static std::uint64_t bytes(long n);

    // y (rows x n columns of A from `first`, a multiple of kWalk) = x (rows x n) A, of columns `of` of x.
    // An element is the same whatever rows stand beside it.
    void multiply(const Matrix& x, long first, ColumnRange of, Matrix& y) const;
};

// What GPTQ needs: the factor of H whose columns and rows are in the order of visits.
struct Feedback {
    Ordering ordering = Ordering::Natural;
    std::vector<long> order;  // the column that comes s-th
    WalkMatrix unit;          // Ū
    std::vector<float> pivot; // D
    double damping = 0;       // what it took; see Factor
};

struct Curvature {
    std::vector<float> diagonal;               // E[x_j²]
    std::shared_ptr<const WalkMatrix> moments; // H; null if not asked for
    std::shared_ptr<const Feedback> feedback;  // null if not asked for, or if H cannot be factored
};

struct CurvatureNeeds {
    bool moments = false, feedback = false;
    double damping = 0.01; // of `feedback`, as a share of the diagonal's mean
    Ordering ordering = Ordering::Natural;

    friend bool operator==(const CurvatureNeeds&, const CurvatureNeeds&) = default;
};

// With what is asked for. Throws Error for an H that is none (see Hessian::matrix), Cancelled.
Curvature curvatureOf(const Hessian& hessian, const BlockFormat& format, const CurvatureNeeds& needs,
                      Progress& progress);

} // namespace quern
