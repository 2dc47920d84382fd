#pragma once

#include "core/blockformat.h"
#include "core/factor.h"

#include <memory>

namespace quern {

// In which order a tensor's columns are visited: a permutation that keeps the blocks of a format together, since their
// parameters are fitted when the first of their columns is reached.
enum class Ordering {
    Natural,
    Blocks, // blocks by their largest E[x_j^2], and columns within a block by theirs, largest first
};
std::vector<long> visits(std::span<const float> importance, const BlockFormat& format, Ordering ordering);

// What the solvers know about a weight's inputs. Columns of the factor are in the order of visits.
struct Curvature {
    std::shared_ptr<const Matrix> hessian; // E[x xᵀ]: n x n, symmetric, columns as in the tensor
    Factor factor;
    std::vector<long> order;       // visits: order[s] is the column that comes s-th
    std::vector<float> importance; // the diagonal of hessian
};

// GPTQ on the grid of any format whose codes stand for one weight: walks the columns; the parameters of a block are
// fitted, under importance, to what its columns are to be when the first is reached; each column's rounding error is
// made up for by those that follow. weights: rows x n. blocks: rows of format.rowBytes(n). Of a format of Scope::Row or
// Scope::Tensor parameters are fitted to the weights themselves. Dead columns are stored as 0 would be.
void encodeWithFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, const Fit& fit,
                        std::span<std::byte> blocks);

// Coordinate descent: goes through the columns and moves each weight to the point of its block's grid that is best for
// what the others are now, `passes` times or until nothing changes. Parameters stay. The cost tr(E H Eᵀ) of every row
// never rises. blocks: as they are, and as they become.
void descend(const Matrix& weights, const Curvature& curvature, const BlockFormat& format, int passes,
             std::span<std::byte> blocks);

// tr(E H Eᵀ) of each row of E = weights - decoded: rows.
Eigen::VectorXd costs(const Matrix& errors, const Matrix& hessian);

} // namespace quern
