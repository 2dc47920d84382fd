#include "core/solution.h"

#include "core/lanes.h"
#include "core/levels.h"
#include "core/metric.h"
#include "core/rows.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace quern {
namespace {

constexpr long kWalk = WalkMatrix::kWalk;
constexpr long kChunk = kLanes; // columns that are looked at together; no group of a format has fewer

// Whether a step to where the cost is least, slope / curvature, is beyond `reach` in one of n columns.
bool anyBeyond(const float* slopes, const float* inverse, long n, float reach)
{
    int found = 0;
    for (long i = 0; i < n; ++i)
        found |= static_cast<int>(std::abs(slopes[i] * inverse[i]) > reach);
    return found != 0;
}

} // namespace

Solution::Solution(const Matrix& weights, const Curvature& curvature, const BlockFormat& format,
                   std::vector<std::byte> blocks)
    : m_weights(weights)
    , m_curvature(curvature)
    , m_format(format)
    , m_blocks(std::move(blocks))
    , m_errors(weights)
    , m_slopes(weights.rows(), weights.cols())
{
    decodeEach(format, m_blocks, weights.rows(), weights.cols(), [&](long row, std::span<const float> values) {
        m_errors.row(row) -= Eigen::Map<const Eigen::RowVectorXf>(values.data(), m_errors.cols());
    });
    curvature.moments->multiply(m_errors, 0, {0, weights.cols()}, m_slopes);
}

std::vector<double> Solution::costs() const
{
    std::vector<double> total(static_cast<std::size_t>(m_errors.rows()));
    for (long row = 0; row < m_errors.rows(); ++row)
        total[static_cast<std::size_t>(row)]
            = m_slopes.row(row).cast<double>().cwiseProduct(m_errors.row(row).cast<double>()).sum();
    return total;
}

void Solution::takeBetter(const Solution& other)
{
    const std::vector<double> own = costs(), others = other.costs();
    const std::size_t rowBytes = m_format.rowBytes(m_weights.cols());
    for (std::size_t row = 0; row < own.size(); ++row) {
        if (!(others[row] < own[row]))
            continue;
        const auto at = static_cast<std::ptrdiff_t>(row * rowBytes);
        std::copy_n(other.m_blocks.begin() + at, rowBytes, m_blocks.begin() + at);
        m_errors.row(static_cast<long>(row)) = other.m_errors.row(static_cast<long>(row));
        m_slopes.row(static_cast<long>(row)) = other.m_slopes.row(static_cast<long>(row));
    }
}

void Solution::descend(int passes)
{
    assert(m_format.place);
    m_inverse.clear();
    for (const float curve : m_curvature.diagonal)
        m_inverse.push_back(curve > 0 ? 1 / curve : 0.0F);
    const bool single = m_format.group == 1;
    if (single)
        measureReach();
    const long cols = m_weights.cols();
    bool moved = true;
    for (int pass = 0; pass < passes && moved; ++pass) {
        moved = false;
        for (long first = 0; first < cols; first += kWalk) {
            Moves moves(static_cast<std::size_t>(m_weights.rows()));
            const long n = std::min(kWalk, cols - first);
            if (single)
                for (long row = 0; row < m_weights.rows(); ++row)
                    descendBlock(row, first, n, moves[static_cast<std::size_t>(row)]);
            else
                for (long s = 0; s < n; s += m_format.group)
                    descendCodes(first, s, n, moves);
            moved |= std::ranges::any_of(moves, [](const auto& ofRow) { return !ofRow.empty(); });
            spread(first, moves);
        }
    }
}

// Half the distance of the nearest two levels, a little less for being sure: a weight, which is at a level, that wants
// to go less far stays.
void Solution::measureReach()
{
    constexpr float kSure = 0.999F;
    const long cols = m_weights.cols();
    LevelSteps steps(m_format, cols);
    assert(steps.group() % kChunk == 0 || steps.group() == cols);
    std::vector<float> ofGroups(static_cast<std::size_t>(steps.groups()));
    m_reach.resize(m_weights.rows(), (cols + kChunk - 1) / kChunk);
    for (long row = 0; row < m_weights.rows(); ++row) {
        steps.ofRow(m_blocks, row, ofGroups.data());
        for (long chunk = 0; chunk < m_reach.cols(); ++chunk)
            m_reach(row, chunk) = ofGroups[static_cast<std::size_t>(chunk * kChunk / steps.group())];
    }
    m_reach *= kSure * steps.smallest() / 2;
}

// The n columns from `first`, whose slopes are kept up to date.
void Solution::descendBlock(long row, long first, long n, std::vector<Term>& moves)
{
    float* slopes = m_slopes.row(row).data() + first;
    const float* inverse = m_inverse.data() + first;
    for (long chunk = 0; chunk < n; chunk += kChunk) {
        const float reach = m_reach(row, (first + chunk) / kChunk);
        const long end = std::min(chunk + kChunk, n);
        if (!anyBeyond(slopes + chunk, inverse + chunk, end - chunk, reach))
            continue;
        for (long s = chunk; s < end; ++s) {
            Term moved {first + s, 0};
            if (!(std::abs(slopes[s] * inverse[s]) > reach) || !move(row, first + s, moved))
                continue;
            moves.push_back(moved);
            changeSlopes(slopes, n, moved);
        }
    }
}

// slopes: of the n columns of the block that has moved.
void Solution::changeSlopes(float* slopes, long n, const Term& moved) const
{
    const float* near = m_curvature.moments->near.row(moved.column).data();
    for (long i = 0; i < n; ++i)
        slopes[i] += moved.factor * near[i];
}

// The same where weights share codes: those of all rows from column first + s on, in a block of n columns.
void Solution::descendCodes(long first, long s, long n, Moves& moves)
{
    std::vector<Metric::Code> codes;
    for (long row = 0; row < m_weights.rows(); ++row) {
        Metric::Code& code = codes.emplace_back();
        code.block = storedRow(m_format, m_blocks, row, m_weights.cols()).at(first + s);
        for (long i = 0; i < m_format.group; ++i) {
            const auto at = static_cast<std::size_t>(i);
            code.values[at] = m_weights(row, first + s + i) - m_errors(row, first + s + i);
            code.slopes[at] = m_slopes(row, first + s + i);
        }
    }
    const std::vector<Metric::Code> before = codes;
    Metric(m_curvature.moments->near.row(first + s).data() + s, kWalk, m_format.group)
        .improve(m_format, static_cast<int>((first + s) % m_format.values), codes);
    for (long row = 0; row < m_weights.rows(); ++row) {
        const auto &now = codes[static_cast<std::size_t>(row)].values,
                   &last = before[static_cast<std::size_t>(row)].values;
        std::vector<Term>& ofRow = moves[static_cast<std::size_t>(row)];
        for (long i = 0; i < m_format.group; ++i)
            if (const auto at = static_cast<std::size_t>(i); now[at] != last[at]) {
                m_errors(row, first + s + i) = m_weights(row, first + s + i) - now[at];
                ofRow.push_back({first + s + i, last[at] - now[at]});
                changeSlopes(m_slopes.row(row).data() + first, n, ofRow.back());
            }
    }
}

// To the level nearest to where the cost is least, if that is nearer than where the weight is.
bool Solution::move(long row, long column, Term& moved)
{
    const StoredRow to = storedRow(m_format, m_blocks, row, m_weights.cols());
    float& error = m_errors(row, column);
    const float now = m_weights(row, column) - error;
    const float best = now + m_slopes(row, column) * m_inverse[static_cast<std::size_t>(column)];
    float value = best;
    to.place(column, {&value, 1});
    if (!(std::abs(value - best) < std::abs(now - best))) {
        value = now;
        to.place(column, {&value, 1}); // as it was
        return false;
    }
    error = m_weights(row, column) - value;
    moved.factor = now - value;
    return true;
}

// Slopes of the other columns than [first, first + kWalk).
void Solution::spread(long first, const Moves& moves)
{
    const PackedMatrix& moments = m_curvature.moments->columns;
    const long width = PackedMatrix::panelRows();
    for (long panel = 0; panel < moments.panels(); ++panel) {
        const long column = panel * width;
        if (column >= first && column < first + kWalk)
            continue;
        for (std::size_t row = 0; row < moves.size(); ++row)
            if (!moves[row].empty())
                addColumns(moves[row], moments.panel(panel), moments.rowsOf(panel),
                           m_slopes.row(static_cast<long>(row)).data() + column);
    }
}

} // namespace quern
