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
using Values = Eigen::Array<float, 1, Eigen::Dynamic, Eigen::RowMajor, 1, kWalk>; // of a part of a row within a walk

double dot(const Values& a, const Values& b)
{
    return (a.cast<double>() * b.cast<double>()).sum();
}

// Changes of values, and by how much they let slopes fall.
struct Direction {
    Values change; // of n columns
    Values fall;   // change H, of the same columns
};

// How far the cost is least along two directions.
struct Distances {
    double a = 0, b = 0;
};

Distances leastCost(const Direction& a, const Direction& b, const Values& slopes)
{
    constexpr double kSingular = 1e-6; // of sums of floats
    const double aa = dot(a.change, a.fall), ab = dot(a.change, b.fall), bb = dot(b.change, b.fall);
    const double sa = dot(a.change, slopes), sb = dot(b.change, slopes), determinant = aa * bb - ab * ab;
    if (determinant > kSingular * aa * bb)
        return {(sa * bb - sb * ab) / determinant, (sb * aa - sa * ab) / determinant};
    return {aa > 0 ? sa / aa : 0, 0};
}

} // namespace

// What a refit keeps on its way, of all rows.
struct Solution::Refit {
    long block, group;               // columns
    Matrix moves;                    // of all columns: what errors have changed by
    Matrix scaled {};                // of the block at hand: values less the offsets of their grids
    std::vector<Matrix> falls {};    // of its groups, on the columns of the walk: scaled H
    Matrix ones {};                  // the same of values of 1: a row for each group, whatever the row of weights
    std::vector<Grid> grids {};      // as they were before the last change
    std::vector<std::byte> bytes {}; // of the block then

    long groupOf(long column) const { return column % block / group; } // of the block at hand
};

void Solution::refit()
{
    if (!m_format.regrid.write)
        return;
    const long cols = m_weights.cols(), block = m_format.values;
    Refit work {.block = block, .group = groupSize(m_format, cols), .moves = Matrix::Zero(m_weights.rows(), cols)};
    work.scaled.resize(m_weights.rows(), cols);
    for (long first = 0; first < cols; first += kWalk) {
        addSlopes(work.moves, first, {0, first});
        for (long c = first; c < std::min(first + kWalk, cols); c += block)
            refitBlocks({c, c + block}, work);
    }
    for (long first = 0; first + kWalk < cols; first += kWalk)
        addSlopes(work.moves, first, {first + kWalk, cols});
}

// Of the columns of a walk, for what errors in the columns `of` have changed by.
void Solution::addSlopes(const Matrix& moves, long first, ColumnRange of)
{
    Matrix sums = Matrix::Zero(moves.rows(), std::min(kWalk, moves.cols() - first));
    m_curvature.moments->multiply(moves, first, of, sums);
    m_slopes.middleCols(first, sums.cols()) += sums;
}

// Blocks of all rows first, if they can be stretched, then their groups.
void Solution::refitBlocks(ColumnRange of, Refit& work)
{
    measureFalls(of, work);
    for (long row = 0; row < m_weights.rows(); ++row) {
        if (m_format.regrid.stretch)
            refitGrids(row, of, work);
        for (long first = of.first; first < of.end; first += work.group)
            refitGrids(row, {first, first + work.group}, work);
    }
}

void Solution::measureFalls(ColumnRange of, Refit& work)
{
    const WalkMatrix& moments = *m_curvature.moments;
    const long walk = of.first / kWalk * kWalk, width = std::min(kWalk, m_weights.cols() - walk);
    const long group = work.group, groups = (of.end - of.first) / group;
    work.falls.resize(static_cast<std::size_t>(groups));
    work.ones.setZero(groups, width);
    for (long g = 0; g < groups; ++g) {
        const long first = of.first + g * group;
        for (long row = 0; row < m_weights.rows(); ++row)
            work.scaled.row(row).segment(first, group)
                = (m_weights.row(row) - m_errors.row(row)).segment(first, group).array() - gridAt(row, first).offset;
        Matrix& falls = work.falls[static_cast<std::size_t>(g)];
        falls.resize(m_weights.rows(), width);
        moments.multiply(work.scaled, walk, {first, first + group}, falls);
        if (m_format.regrid.offset)
            work.ones.row(g) = moments.near.middleRows(first, group).leftCols(width).colwise().sum();
    }
}

Grid Solution::gridAt(long row, long column)
{
    return m_format.regrid.read(m_format, storedRow(m_format, m_blocks, row, m_weights.cols()).at(column),
                                static_cast<int>(column % m_format.values));
}

// Those of a whole block, together, or of one group.
void Solution::refitGrids(long row, ColumnRange of, Refit& work)
{
    const Regrid& regrid = m_format.regrid;
    const long n = of.end - of.first, here = of.first % kWalk;
    const bool whole = n > work.group;
    Direction scale {work.scaled.row(row).segment(of.first, n), Values::Zero(n)};
    Direction offset {Values::Zero(n), Values::Zero(n)};
    work.grids.clear();
    for (long c = 0; c < n; c += work.group) {
        const Grid grid = gridAt(row, of.first + c);
        const float unit = !regrid.offset ? 0.0F : whole ? grid.offset : 1.0F;
        const long g = work.groupOf(of.first + c);
        scale.fall += work.falls[static_cast<std::size_t>(g)].row(row).segment(here, n).array();
        offset.change.segment(c, work.group) = unit;
        offset.fall += unit * work.ones.row(g).segment(here, n).array();
        work.grids.push_back(grid);
    }
    const Distances by = leastCost(scale, offset, m_slopes.row(row).segment(of.first, n));
    const auto growth = static_cast<float>(1 + by.a), shift = static_cast<float>(by.b);
    std::byte* block = storedRow(m_format, m_blocks, row, m_weights.cols()).at(of.first);
    work.bytes.assign(block, block + m_format.bytes);
    if (whole)
        regrid.stretch(m_format, block, {growth, 1 + shift});
    else
        regrid.write(m_format, block, static_cast<int>(of.first % m_format.values),
                     {work.grids[0].scale * growth, work.grids[0].offset + shift});
    if (!takeStored(row, of, work))
        std::ranges::copy(work.bytes, block);
}

// The values that a row's blocks hold now, in place of those known, if they cost less. work.grids: those from before.
bool Solution::takeStored(long row, ColumnRange of, Refit& work)
{
    const long n = of.end - of.first, here = of.first % kWalk, width = work.ones.cols();
    Values stored(m_format.values), fall = Values::Zero(width);
    std::array<float, kWalk> growths;
    for (long c = 0; c < n; c += work.group) {
        const Grid before = work.grids[static_cast<std::size_t>(c / work.group)], now = gridAt(row, of.first + c);
        const long g = work.groupOf(of.first + c);
        const float growth = before.scale == 0 ? 0.0F : now.scale / before.scale - 1;
        fall += growth * work.falls[static_cast<std::size_t>(g)].row(row).array()
            + (now.offset - before.offset) * work.ones.row(g).array();
        growths[static_cast<std::size_t>(c / work.group)] = growth;
    }
    const std::byte* block = storedRow(m_format, m_blocks, row, m_weights.cols()).at(of.first);
    m_format.decode(m_format, block, {stored.data(), static_cast<std::size_t>(m_format.values)});
    auto errors = m_errors.row(row).segment(of.first, n).array();
    const Values change
        = stored.segment(of.first % m_format.values, n) - m_weights.row(row).segment(of.first, n).array() + errors;
    auto slopes = m_slopes.row(row).segment(of.first - here, width).array();
    if (!(dot(change, fall.segment(here, n)) < 2 * dot(change, slopes.segment(here, n))))
        return false;
    errors -= change;
    work.moves.row(row).segment(of.first, n).array() -= change;
    slopes -= fall;
    for (long c = 0; c < n; c += work.group) {
        const float factor = 1 + growths[static_cast<std::size_t>(c / work.group)];
        work.scaled.row(row).segment(of.first + c, work.group) *= factor;
        work.falls[static_cast<std::size_t>(work.groupOf(of.first + c))].row(row) *= factor;
    }
    return true;
}

} // namespace quern
