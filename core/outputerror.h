#pragma once

#include "core/calibration.h"
#include "core/curvature.h"

#include <optional>

namespace quern {

// What errors E of a matrix W make of its outputs W x: E|E x|² and E|W x|², as sums over rows.
struct OutputError {
    double error = 0, power = 0;

    void merge(const OutputError& other);
    std::optional<double> rho() const; // error / power; none if nothing was measured
};

// What inputs are known to be like, to measure outputs by: H = E[x xᵀ], so that E|E x|² = tr(E H Eᵀ); or only its
// diagonal, which takes inputs for uncorrelated. Where inputs have drifted by d from the original model's
// (InputStats::drifted), errors are of the original's outputs: E|W (x + d) - (W - E) x|² and E|W (x + d)|².
class OutputProbe {
public:
    OutputProbe() = default; // of nothing: measures nothing
    // Of matrix `matrix` of a tensor with these inputs, which may be null. moments: of their H, or of
    // InputStats::drifted where that is there; null where there is none.
    OutputProbe(const InputStats* stats, long matrix, std::shared_ptr<const WalkMatrix> moments);

    // Of rows of W and what they have become.
    OutputError measure(const Matrix& weights, const Matrix& decoded) const;

private:
    std::shared_ptr<const WalkMatrix> m_moments;
    bool m_drifted = false;          // they are of (x, d)
    std::vector<float> m_importance; // where there are no moments
};

} // namespace quern
