#include "core/factor.h"

#include "core/parallel.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <type_traits>

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

using Elements = std::function<float(long, long)>;

// Of the lower triangle of H, in reverse, with `added` on the diagonal; 1 where an input is dead. The lower triangle.
template <typename Scalar>
Square<Scalar> reversed(long n, const Elements& hessian, double added, Progress& progress)
{
    Square<Scalar> a(n, n);
    parallelFor(n, progress, [&](long i) {
        for (long j = 0; j <= i; ++j)
            a(i, j) = static_cast<Scalar>(hessian(n - 1 - j, n - 1 - i));
        a(i, i) = (a(i, i) == 0 ? Scalar(1) : a(i, i)) + static_cast<Scalar>(added);
    });
    return a;
}

// From L of the reversed matrix, in its place: Ũ = J L J is upper triangular; its columns over their diagonal are Ū.
template <typename Scalar>
void unreverse(Square<Scalar>& a, Factor& result, Progress& progress)
{
    const long n = a.rows();
    const Eigen::Array<Scalar, 1, Eigen::Dynamic> diagonal = a.diagonal().reverse().transpose().array();
    const Eigen::Array<float, 1, Eigen::Dynamic> squares = diagonal.square().template cast<float>();
    result.pivot.assign(squares.begin(), squares.end());
    const auto turned = [&](long i, long from) { // row i of the result, of row `from` of what was there
        Eigen::Array<Scalar, 1, Eigen::Dynamic> row = Eigen::Array<Scalar, 1, Eigen::Dynamic>::Zero(n);
        row.tail(n - i) = a.row(from).head(n - i).reverse().array() / diagonal.tail(n - i);
        return row;
    };
    parallelFor((n + 1) / 2, progress, [&](long i) {
        const auto first = turned(i, n - 1 - i), last = turned(n - 1 - i, i);
        a.row(i) = first.matrix();
        a.row(n - 1 - i) = last.matrix();
    });
    if constexpr (std::is_same_v<Scalar, float>)
        result.unit = std::move(a);
    else
        result.unit = a.template cast<float>();
}

template <typename Scalar>
bool tryFactor(long n, const Elements& hessian, double added, Factor& result, Progress& progress)
{
    Square<Scalar> a = reversed<Scalar>(n, hessian, added, progress);
    if (!decompose(a, progress))
        return false;
    unreverse(a, result, progress);
    return true;
}

} // namespace

std::optional<Factor> factor(long n, const Elements& hessian, double damping, Progress& progress)
{
    assert(n > 0);
    Factor result;
    double mean = 0;
    for (long i = 0; i < n; ++i) {
        const float square = hessian(i, i);
        if (square == 0)
            result.dead.push_back(i);
        mean += double {square};
    }
    mean /= static_cast<double>(n);
    assert(std::isfinite(mean) && mean >= 0);
    double share = damping;
    while (share <= 1) {
        result.damping = share;
        if (tryFactor<float>(n, hessian, share * mean, result, progress))
            return result;
        result.doubled = true;
        if (tryFactor<double>(n, hessian, share * mean, result, progress))
            return result;
        result.doubled = false;
        share = std::max(2 * share, share + 0.01);
    }
    return std::nullopt;
}

std::optional<Factor> factor(const Matrix& hessian, double damping, Progress& progress)
{
    assert(hessian.rows() == hessian.cols());
    return factor(
        hessian.rows(), [&](long i, long j) { return hessian(i, j); }, damping, progress);
}

} // namespace quern
