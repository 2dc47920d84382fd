#include "core/curvature.h"

#include "core/parallel.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <tuple>

namespace quern {
namespace {

// The largest of each `size` numbers.
std::vector<float> largestOf(std::span<const float> numbers, std::size_t size)
{
    std::vector<float> largest;
    for (std::size_t i = 0; i < numbers.size(); i += size)
        largest.push_back(std::ranges::max(numbers.subspan(i, size)));
    return largest;
}

std::shared_ptr<const Feedback> feedbackOf(const Hessian& h, std::span<const float> diagonal, const BlockFormat& format,
                                           const CurvatureNeeds& needs, Progress& progress)
{
    Feedback result;
    result.ordering = needs.ordering;
    result.order = visits(diagonal, format, needs.ordering);
    const auto ordered = [&](long i, long j) {
        return h.at(result.order[static_cast<std::size_t>(i)], result.order[static_cast<std::size_t>(j)]);
    };
    const std::optional<Factor> found = factor(h.size, ordered, needs.damping, progress);
    if (!found)
        return nullptr;
    result.unit = WalkMatrix(found->unit, progress);
    result.pivot = found->pivot;
    result.damping = found->damping;
    return std::make_shared<const Feedback>(std::move(result));
}

} // namespace

std::vector<long> visits(std::span<const float> diagonal, const BlockFormat& format, Ordering ordering)
{
    const std::size_t n = diagonal.size();
    std::vector<long> order(n);
    std::iota(order.begin(), order.end(), 0L);
    if (ordering == Ordering::Natural)
        return order;
    const bool apart = format.values == 0 || ordering == Ordering::Columns;
    const auto block = apart ? n : static_cast<std::size_t>(format.values);
    const auto code = static_cast<std::size_t>(format.group);
    const std::vector<float> ofBlock = largestOf(diagonal, block), ofCode = largestOf(diagonal, code);
    // Larger first; equal ones in their own order.
    const auto key = [&](long column) {
        const auto c = static_cast<std::size_t>(column);
        return std::tuple(-ofBlock[c / block], c / block, -ofCode[c / code], c);
    };
    std::ranges::sort(order, {}, key);
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

WalkMatrix::WalkMatrix(const Hessian& h, Progress& progress)
    : columns(h.size, h.size)
    , near(Matrix::Zero(h.size, kWalk))
{
    parallelFor(columns.panels(), progress, [&](long panel) {
        Matrix rows(columns.rowsOf(panel), h.size); // which are columns too
        for (long i = 0; i < rows.rows(); ++i) {
            const long row = panel * PackedMatrix::panelRows() + i, first = row / kWalk * kWalk;
            for (long j = 0; j < h.size; ++j)
                rows(i, j) = h.at(row, j);
            const long n = std::min(kWalk, h.size - first);
            near.row(row).head(n) = rows.row(i).segment(first, n);
        }
        packRows(rows.data(), h.size, rows.rows(), h.size, columns.panel(panel));
    });
}

std::uint64_t WalkMatrix::bytes(long n)
{
    return PackedMatrix::bytes(n, n) + static_cast<std::uint64_t>(n) * kWalk * sizeof(float);
}

void WalkMatrix::multiply(const Matrix& x, long first, ColumnRange of, Matrix& y) const
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
                      columns.panel((first + column) / width), std::min(width, y.cols() - column), of.first, of.end);
}

Curvature curvatureOf(const Hessian& hessian, const BlockFormat& format, const CurvatureNeeds& needs,
                      Progress& progress)
{
    hessian.check(progress);
    Curvature result {.diagonal = hessian.diagonal(), .moments = nullptr, .feedback = nullptr};
    if (needs.moments)
        result.moments = std::make_shared<const WalkMatrix>(hessian, progress);
    if (needs.feedback)
        result.feedback = feedbackOf(hessian, result.diagonal, format, needs, progress);
    return result;
}

} // namespace quern
