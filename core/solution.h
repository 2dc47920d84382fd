#pragma once

#include "core/curvature.h"

namespace quern {

// Rows of weights in the blocks of a format, and what their errors E = weights - decoded cost: tr(E H Eᵀ). Rows do not
// depend on each other.
class Solution {
public:
    // weights: rows x n, all finite. curvature: with moments. Both and the format outlive the solution and its copies.
    Solution(const Matrix& weights, const Curvature& curvature, const BlockFormat& format,
             std::vector<std::byte> blocks);

    const std::vector<std::byte>& blocks() const { return m_blocks; }
    std::vector<double> costs() const; // of every row

    // Takes those rows of another solution for the same weights that cost less.
    void takeBetter(const Solution& other);

    // Coordinate descent (QuantEase, Behdin et al. 2023; CDQuant, Nair and Suggala 2024): goes through the columns and
    // moves each weight to the point of its block's grid that is best for what the others are now; at most `passes`
    // times. Parameters stay. No row's cost rises, but for what rounding of sums does. Weights that share a code move
    // together, to one of the points that are best for upper bounds of their cost (core/metric.h).
    void descend(int passes);

    // Goes through the grids instead: gives each the scale and the offset that are best for its codes and for what the
    // other weights are now, as far as the format can store them; a block's as one first where its groups' are
    // multiples of common ones (BlockFormat::regrid). Codes stay. No row's cost rises, as above.
    void refit();

private:
    using Moves = std::vector<std::vector<Term>>; // of every row

    struct Refit; // refit.cpp
    void refitBlocks(ColumnRange of, Refit& work);
    void measureFalls(ColumnRange of, Refit& work);
    void refitGrids(long row, ColumnRange of, Refit& work);
    bool takeStored(long row, ColumnRange of, Refit& work);
    void addSlopes(const Matrix& moves, long first, ColumnRange of);
    Grid gridAt(long row, long column);
    void measureReach();
    // moves: what errors have changed by.
    void descendBlock(long row, long first, long n, std::vector<Term>& moves);
    bool move(long row, long column, Term& moved);
    void descendCodes(long first, long s, long n, Moves& moves);
    void changeSlopes(float* slopes, long n, const Term& moved) const;
    void spread(long first, const Moves& moves);

    const Matrix& m_weights;
    const Curvature& m_curvature;
    const BlockFormat& m_format;
    std::vector<std::byte> m_blocks;
    Matrix m_errors, m_slopes;    // rows x n; slopes: errors H
    std::vector<float> m_inverse; // of H's diagonal; 0 where an input was always 0
    Matrix m_reach;               // rows x chunks of columns: what moves a weight by less leaves it where it is
};

} // namespace quern
