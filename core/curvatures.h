#pragma once

#include "core/curvature.h"
#include "core/recipe.h"

namespace quern {

// The curvature that a choice asks for. Keeps the last one, since weights that share their input often follow each
// other, and one at a time is as much as should be in memory.
class Curvatures {
public:
    // Of matrix `matrix` of a tensor with these inputs. Null where the choice's quantizer asks for none, where there is
    // no H, or where it could not be factored although that was asked for. Throws Error, Cancelled.
    std::shared_ptr<const Curvature> of(const Choice& choice, const InputStats* stats, long matrix, Progress& progress);

private:
    std::shared_ptr<const Hessian> m_hessian; // of m_last
    CurvatureNeeds m_needs;
    int m_block = 0, m_code = 0; // values in a block, in a code: what the order of columns depends on
    std::shared_ptr<const Curvature> m_last;
};

// H of a matrix of a tensor; null where there is none.
std::shared_ptr<const Hessian> hessianOf(const InputStats* stats, long matrix);

} // namespace quern
