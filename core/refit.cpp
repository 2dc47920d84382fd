#include "core/levels.h"
#include "core/rows.h"
#include "core/solution.h"

#include <algorithm>

// The other half of coordinate descent: codes stay and grids move. Values of a row that change by d change what the
// row costs by d H dᵀ - 2 d Sᵀ, S its slopes. Along the two directions in which a grid can move them, that is least
// where two linear equations hold.
namespace quern {
namespace {

constexpr long kWalk = WalkMatrix::kWalk;
using Values = std::array<float, kWalk>; // of a part of a row, whose groups and blocks are no longer

// d H, of `width` columns; near: rows of H for the n values of d, kWalk apart.
Values times(const Values& d, long n, const float* near, long width)
{
    Values sums {};
    for (long i = 0; i < n; ++i)
        for (long j = 0; j < width; ++j)
            sums[static_cast<std::size_t>(j)] += d[static_cast<std::size_t>(i)] * near[i * kWalk + j];
    return sums;
}

double dot(const Values& a, const float* b, long n)
{
    double sum = 0;
    for (long i = 0; i < n; ++i)
        sum += double {a[static_cast<std::size_t>(i)]} * double {b[i]};
    return sum;
}

// How far the cost is least along two directions, in the columns of `slopes` and `near`.
struct Distances {
    double a = 0, b = 0;
};

Distances leastCost(const Values& a, const Values& b, const float* slopes, const float* near, long n)
{
    constexpr double kSingular = 1e-6; // of sums of floats
    const Values fromA = times(a, n, near, n), fromB = times(b, n, near, n);
    const double aa = dot(a, fromA.data(), n), ab = dot(a, fromB.data(), n), bb = dot(b, fromB.data(), n);
    const double sa = dot(a, slopes, n), sb = dot(b, slopes, n), determinant = aa * bb - ab * ab;
    if (determinant > kSingular * aa * bb)
        return {(sa * bb - sb * ab) / determinant, (sb * aa - sa * ab) / determinant};
    return {aa > 0 ? sa / aa : 0, 0};
}

} // namespace

void Solution::refit()
{
    if (!m_format.regrid.write)
        return;
    const long cols = m_weights.cols();
    Matrix moves = Matrix::Zero(m_weights.rows(), cols);
    for (long first = 0; first < cols; first += kWalk) {
        const long n = std::min(kWalk, cols - first);
        addSlopes(moves, first, {0, first});
        for (long row = 0; row < m_weights.rows(); ++row)
            refitRow(row, first, n, moves);
    }
    for (long first = 0; first + kWalk < cols; first += kWalk)
        addSlopes(moves, first, {first + kWalk, cols});
}

// Of the columns of a walk, for what errors in the columns `of` have changed by.
void Solution::addSlopes(const Matrix& moves, long first, ColumnRange of)
{
    Matrix sums = Matrix::Zero(moves.rows(), std::min(kWalk, moves.cols() - first));
    m_curvature.moments->multiply(moves, first, of, sums);
    m_slopes.middleCols(first, sums.cols()) += sums;
}

// Blocks first, then their groups.
void Solution::refitRow(long row, long first, long n, Matrix& moves)
{
    const long group = groupSize(m_format, m_weights.cols()), block = m_format.values;
    for (long c = first; c < first + n; c += block) {
        if (m_format.regrid.stretch)
            refitGrids(row, {c, c + block}, moves);
        for (long g = c; g < c + block; g += group)
            refitGrids(row, {g, g + group}, moves);
    }
}

// Those of a whole block, together, or of one group.
void Solution::refitGrids(long row, ColumnRange of, Matrix& moves)
{
    const Regrid& regrid = m_format.regrid;
    const StoredRow to = storedRow(m_format, m_blocks, row, m_weights.cols());
    const long n = of.end - of.first, group = groupSize(m_format, m_weights.cols());
    const bool whole = n > group;
    std::byte* block = to.at(of.first);
    const auto place = static_cast<int>(of.first % m_format.values);
    Values scaled {}, shifted {};
    Grid grid {};
    for (long i = 0; i < n; ++i) {
        if (i % group == 0)
            grid = regrid.read(m_format, block, place + static_cast<int>(i));
        const auto at = static_cast<std::size_t>(i);
        scaled[at] = m_weights(row, of.first + i) - m_errors(row, of.first + i) - grid.offset;
        shifted[at] = !regrid.offset ? 0.0F : whole ? grid.offset : 1.0F;
    }
    const float* near = m_curvature.moments->near.row(of.first).data() + of.first % kWalk;
    const Distances by = leastCost(scaled, shifted, m_slopes.row(row).data() + of.first, near, n);
    const std::vector<std::byte> before(block, block + m_format.bytes);
    const auto growth = static_cast<float>(1 + by.a), shift = static_cast<float>(by.b);
    if (whole)
        regrid.stretch(m_format, block, {growth, 1 + shift});
    else
        regrid.write(m_format, block, place, {grid.scale * growth, grid.offset + shift});
    if (!takeStored(row, of, moves))
        std::ranges::copy(before, block);
}

// The values that a row's blocks hold now, in place of those known, if they cost less.
bool Solution::takeStored(long row, ColumnRange of, Matrix& moves)
{
    const long values = m_format.values, first = of.first % values, n = of.end - of.first;
    Values stored {}, change {};
    const StoredRow from = storedRow(m_format, m_blocks, row, m_weights.cols());
    m_format.decode(m_format, from.at(of.first), std::span(stored).first(static_cast<std::size_t>(values)));
    for (long i = 0; i < n; ++i)
        change[static_cast<std::size_t>(i)] = stored[static_cast<std::size_t>(first + i)]
            - (m_weights(row, of.first + i) - m_errors(row, of.first + i));
    const long walk = of.first / kWalk * kWalk, width = std::min(kWalk, m_weights.cols() - walk);
    const Values drop = times(change, n, m_curvature.moments->near.row(of.first).data(), width);
    float* slopes = m_slopes.row(row).data() + walk;
    const float *here = slopes + (of.first - walk), *dropHere = drop.data() + (of.first - walk);
    if (!(dot(change, dropHere, n) < 2 * dot(change, here, n)))
        return false;
    for (long i = 0; i < n; ++i) {
        m_errors(row, of.first + i) -= change[static_cast<std::size_t>(i)];
        moves(row, of.first + i) -= change[static_cast<std::size_t>(i)];
    }
    for (long j = 0; j < width; ++j)
        slopes[j] -= drop[static_cast<std::size_t>(j)];
    return true;
}

} // namespace quern
