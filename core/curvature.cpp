#include "core/curvature.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace quern {

std::vector<long> visits(std::span<const float> diagonal, const BlockFormat& format, Ordering ordering)
{
    std::vector<long> order(diagonal.size());
    std::iota(order.begin(), order.end(), 0L);
    if (ordering == Ordering::Natural || order.empty())
        return order;
    const long block = format.values == 0 ? static_cast<long>(order.size()) : format.values;
    const auto weight = [&](long column) { return diagonal[static_cast<std::size_t>(column)]; };
    std::vector<float> largest(order.size() / static_cast<std::size_t>(block));
    for (const long column : order) {
        float& of = largest[static_cast<std::size_t>(column / block)];
        of = std::max(of, weight(column));
    }
    std::ranges::stable_sort(order, [&](long a, long b) {
        const long blockA = a / block, blockB = b / block;
        if (blockA == blockB)
            return weight(a) > weight(b);
        const float first = largest[static_cast<std::size_t>(blockA)], second = largest[static_cast<std::size_t>(blockB)];
        return first != second ? first > second : blockA < blockB;
    });
    return order;
}

WalkMatrix::WalkMatrix(const Matrix& a, Progress& progress)
    : columns(a.cols(), a.rows())
    , near(Matrix::Zero(a.rows(), kWalk))
{
    parallelFor(columns.panels(), progress, [&](long i) {
        packColumns(a.data() + i * PackedMatrix::panelRows(), a.outerStride(), columns.rowsOf(i), a.rows(),
                    columns.panel(i));
    });
    for (long row = 0; row < a.rows(); ++row) {
        const long first = row / kWalk * kWalk, n = std::min(kWalk, a.cols() - first);
        near.row(row).head(n) = a.row(row).segment(first, n);
    }
}

void WalkMatrix::multiply(const Matrix& x, long first, long last, Matrix& y) const
{
    static_assert(kWalk % 64 == 0);
    const long width = PackedMatrix::panelRows();
    assert(kWalk % width == 0 && first % kWalk == 0);
    for (long column = 0; column < y.cols(); column += width)
        multiplyPanel({.x = x.data(),
                       .xStride = x.outerStride(),
                       .tokens = x.rows(),
                       .y = y.data() + column,
                       .yStride = y.outerStride()},
                      columns.panel((first + column) / width), std::min(width, y.cols() - column), 0, last);
}

namespace {

std::shared_ptr<const Feedback> feedbackOf(const Matrix& h, std::span<const float> diagonal, const BlockFormat& format,
                                           const CurvatureNeeds& needs, Progress& progress)
{
    Feedback result;
    result.order = visits(diagonal, format, needs.ordering);
    const long n = h.rows();
    Matrix ordered(n, n);
    parallelFor(n, progress, [&](long i) {
        for (long j = 0; j < n; ++j)
            ordered(i, j) = h(result.order[static_cast<std::size_t>(i)], result.order[static_cast<std::size_t>(j)]);
    });
    const std::optional<Factor> found = factor(ordered, needs.damping, progress);
    if (!found)
        return nullptr;
    ordered.resize(0, 0);
    result.unit = WalkMatrix(found->unit, progress);
    result.damping = found->damping;
    result.dead.resize(static_cast<std::size_t>(n));
    for (const long dead : found->dead)
        result.dead[static_cast<std::size_t>(dead)] = true;
    return std::make_shared<const Feedback>(std::move(result));
}

} // namespace

Curvature curvatureOf(const Hessian& hessian, const BlockFormat& format, const CurvatureNeeds& needs,
                      Progress& progress)
{
    const Matrix h = hessian.matrix(progress);
    Curvature result;
    result.diagonal.assign(static_cast<std::size_t>(h.rows()), 0.0F);
    for (long i = 0; i < h.rows(); ++i)
        result.diagonal[static_cast<std::size_t>(i)] = h(i, i);
    if (needs.moments)
        result.moments = WalkMatrix(h, progress);
    if (needs.feedback)
        result.feedback = feedbackOf(h, result.diagonal, format, needs, progress);
    return result;
}

} // namespace quern
