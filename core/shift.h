#pragma once

#include "core/calibration.h"
#include "core/curvature.h"
#include "core/quantizer.h"

namespace quern {

// Weights W whose inputs are x where they were x + d, for blocks before them have been quantized, should not give W x
// but W (x + d). What comes closest to that, |W (x + d) - V x|² on average, is V = W + W E[d xᵀ] H^-1, H = E[x xᵀ]: the
// closed form of what GPTAQ (Li et al. 2025) and Qronos (Zhang et al. 2025) correct column by column. V is then
// quantized by any method, since |W (x + d) - Q x|² is tr((V - Q) H (V - Q)ᵀ) and what no Q can change.

inline constexpr Param kTrust {"trust", QUERN_TEXT("core", "Trust (0: weights keep their targets)"), 0, 1, 0.5};
inline constexpr Param kSequentialParams[] {kTrust}; // of Recipe::sequential

// S = trust E[d xᵀ] (H + damping)^-1, so that V = W + W S. drifted: as InputStats::drifted. damping: as a share of the
// diagonal's mean; grows as in factor.h where H has no factor. Throws Error for an H that is none, Cancelled.
Matrix shiftOf(const Hessian& drifted, double trust, double damping, Progress& progress);

// The shifts of some weights; those with the same inputs share one.
class Shifts {
public:
    explicit Shifts(double trust)
        : m_trust(trust)
    {
    }

    void add(const std::string& weight, const InputStats* inputs, Progress& progress); // none without `drifted`
    bool has(std::string_view weight) const { return m_of.contains(weight); }
    Matrix rows(const Tensor& weight, long first, long n) const; // of V

private:
    double m_trust;
    std::map<const Hessian*, std::shared_ptr<const WalkMatrix>> m_made;
    std::map<std::string, std::shared_ptr<const WalkMatrix>, std::less<>> m_of;
};

} // namespace quern
