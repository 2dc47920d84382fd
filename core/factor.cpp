#include "core/factor.h"

#include "core/parallel.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace quern {
namespace {

constexpr long kBlock = 192; // rows and columns of a tile

template <typename Scalar>
using Square = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Tiles of a triangle, counted row by row: (0, 0), (1, 0), (1, 1), (2, 0), ...
std::pair<long, long> tileOf(long number)
{
    auto row = static_cast<long>((std::sqrt(8.0 * static_cast<double>(number) + 1) - 1) / 2);
    while ((row + 1) * (row + 2) / 2 <= number)
        ++row;
    while (row * (row + 1) / 2 > number)
        --row;
    return {row, number - row * (row + 1) / 2};
}

// A = L Lᵀ in place, in the lower triangle. False if A is not positive definite.
template <typename Scalar>
bool decompose(Square<Scalar>& a, Progress& progress)
{
    const long n = a.rows();
    for (long k = 0; k < n; k += kBlock) {
        progress.report(static_cast<double>(k) / static_cast<double>(n), "factor");
        const long width = std::min(kBlock, n - k), below = k + width, tiles = (n - below + kBlock - 1) / kBlock;
        auto corner = a.block(k, k, width, width);
        const Eigen::LLT<Square<Scalar>> llt(corner);
        if (llt.info() != Eigen::Success || !llt.matrixLLT().diagonal().allFinite()
            || llt.matrixLLT().diagonal().minCoeff() <= 0)
            return false;
        corner.template triangularView<Eigen::Lower>() = llt.matrixL();
        const auto height = [&](long tile) { return std::min(kBlock, n - below - tile * kBlock); };
        const auto part = [&](long tile) { return a.block(below + tile * kBlock, k, height(tile), width); };
        parallelFor(tiles, progress, [&](long i) {
            auto rows = part(i);
            corner.template triangularView<Eigen::Lower>().transpose().template solveInPlace<Eigen::OnTheRight>(rows);
        });
        parallelFor(tiles * (tiles + 1) / 2, progress, [&](long number) {
            const auto [i, j] = tileOf(number);
            a.block(below + i * kBlock, below + j * kBlock, height(i), height(j)).noalias()
                -= part(i) * part(j).transpose();
        });
    }
    return true;
}

// Of the lower triangle of H, in reverse, with `added` on the diagonal; 1 where an input is dead.
template <typename Scalar>
Square<Scalar> reversed(const Matrix& hessian, double added)
{
    const long n = hessian.rows();
    Square<Scalar> a(n, n);
    for (long i = 0; i < n; ++i)
        for (long j = 0; j <= i; ++j)
            a(i, j) = static_cast<Scalar>(hessian(n - 1 - j, n - 1 - i));
    for (long i = 0; i < n; ++i)
        a(i, i) = (a(i, i) == 0 ? Scalar(1) : a(i, i)) + static_cast<Scalar>(added);
    return a;
}

// From L of the reversed matrix: Ũ = J L J is upper triangular; its columns over their diagonal are Ū.
template <typename Scalar>
void unreverse(const Square<Scalar>& lower, Factor& result, Progress& progress)
{
    const long n = lower.rows();
    result.unit = Matrix::Zero(n, n);
    result.pivot.resize(static_cast<std::size_t>(n));
    for (long j = 0; j < n; ++j) {
        const Scalar diagonal = lower(n - 1 - j, n - 1 - j);
        result.pivot[static_cast<std::size_t>(j)] = static_cast<float>(diagonal * diagonal);
    }
    parallelFor(n, progress, [&](long i) {
        for (long j = i; j < n; ++j)
            result.unit(i, j) = static_cast<float>(lower(n - 1 - i, n - 1 - j) / lower(n - 1 - j, n - 1 - j));
    });
}

template <typename Scalar>
bool tryFactor(const Matrix& hessian, double added, Factor& result, Progress& progress)
{
    Square<Scalar> a = reversed<Scalar>(hessian, added);
    if (!decompose(a, progress))
        return false;
    unreverse(a, result, progress);
    return true;
}

} // namespace

std::optional<Factor> factor(const Matrix& hessian, double damping, Progress& progress)
{
    assert(hessian.rows() == hessian.cols() && hessian.rows() > 0);
    const double mean = hessian.diagonal().cast<double>().mean();
    assert(std::isfinite(mean) && mean >= 0);
    Factor result;
    for (long i = 0; i < hessian.rows(); ++i)
        if (hessian(i, i) == 0)
            result.dead.push_back(i);
    double share = damping;
    while (share <= 1) {
        result.damping = share;
        if (tryFactor<float>(hessian, share * mean, result, progress))
            return result;
        result.doubled = true;
        if (tryFactor<double>(hessian, share * mean, result, progress))
            return result;
        result.doubled = false;
        share = std::max(2 * share, share + 0.01);
    }
    return std::nullopt;
}

} // namespace quern
