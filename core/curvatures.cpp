#include "core/curvatures.h"

namespace quern {

std::shared_ptr<const Hessian> hessianOf(const InputStats* stats, long matrix)
{
    if (!stats || stats->hessians.empty())
        return nullptr;
    return stats->hessians[stats->hessians.size() > 1 ? static_cast<std::size_t>(matrix) : 0];
}

std::shared_ptr<const Curvature> Curvatures::of(const Choice& choice, const InputStats* stats, long matrix,
                                                Progress& progress)
{
    if (!choice.quantizer || !choice.quantizer->curvature)
        return nullptr;
    const std::shared_ptr<const Hessian> hessian = hessianOf(stats, matrix);
    if (!hessian)
        return nullptr;
    const CurvatureNeeds needs = choice.quantizer->curvature(choice.settings);
    const int block = choice.format->values, code = choice.format->group;
    const bool sameOrder = needs.ordering == Ordering::Natural || (m_block == block && m_code == code);
    if (!(m_last && m_hessian == hessian && m_needs == needs && sameOrder)) {
        m_last = nullptr; // before the next one takes as much memory
        m_last = std::make_shared<const Curvature>(curvatureOf(*hessian, *choice.format, needs, progress));
        m_hessian = hessian;
        m_needs = needs;
        m_block = block;
        m_code = code;
    }
    return needs.feedback && !m_last->feedback ? nullptr : m_last;
}

} // namespace quern
