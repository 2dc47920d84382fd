#include "core/curvatures.h"

#include "core/secondmoments.h"

#include <algorithm>

namespace quern {
namespace {

// Whether two owners are the same, even if it is gone.
bool same(const std::weak_ptr<const Hessian>& a, const std::weak_ptr<const Hessian>& b)
{
    return !a.owner_before(b) && !b.owner_before(a);
}

} // namespace

std::shared_ptr<const Hessian> hessianOf(const InputStats* stats, long matrix)
{
    if (!hasMoments(stats))
        return nullptr;
    return stats->hessians[stats->hessians.size() > 1 ? static_cast<std::size_t>(matrix) : 0];
}

bool Curvatures::Part::serves(const Part& asked) const
{
    return same(hessian, asked.hessian) && needs == asked.needs && block == asked.block && code == asked.code;
}

Curvatures::Curvatures(std::uint64_t most)
    : m_most(most)
{
}

std::uint64_t Curvatures::bytes() const
{
    const std::lock_guard lock(m_mutex);
    return m_bytes;
}

std::vector<Curvatures::Part> Curvatures::partsOf(const BlockFormat& format, const CurvatureNeeds& needs,
                                                  const std::shared_ptr<const Hessian>& hessian)
{
    const std::uint64_t bytes = WalkMatrix::bytes(hessian->size);
    std::vector<Part> parts;
    if (needs.moments)
        parts.push_back({hessian, {.moments = true}, 0, 0, bytes, nullptr, nullptr});
    if (needs.feedback) {
        const int block = needs.ordering == Ordering::Largest ? format.values : 0;
        const int code = needs.ordering == Ordering::Natural ? 0 : format.group;
        CurvatureNeeds feedback = needs;
        feedback.moments = false;
        parts.push_back({hessian, feedback, block, code, bytes, nullptr, nullptr});
    }
    return parts;
}

// Fills in what is known.
bool Curvatures::find(Part& asked)
{
    const std::lock_guard lock(m_mutex);
    const auto found = std::ranges::find_if(m_parts, [&](const Part& part) { return part.serves(asked); });
    if (found == m_parts.end())
        return false;
    asked = *found;
    m_parts.splice(m_parts.begin(), m_parts, found);
    return true;
}

// Before `bytes` more are taken: what belongs to no H any more goes, then the longest unused.
void Curvatures::makeRoom(std::uint64_t bytes, std::span<const Part> spared)
{
    const std::lock_guard lock(m_mutex);
    const auto drop = [&](auto part) {
        m_bytes -= part->bytes;
        return m_parts.erase(part);
    };
    for (auto part = m_parts.begin(); part != m_parts.end();)
        part = part->hessian.expired() ? drop(part) : std::next(part);
    for (auto part = m_parts.end(); part != m_parts.begin() && m_bytes + bytes > m_most;) {
        --part;
        if (std::ranges::none_of(spared, [&](const Part& kept) { return part->serves(kept); }))
            part = drop(part);
    }
}

void Curvatures::keep(const Part& made)
{
    const std::lock_guard lock(m_mutex);
    if (std::ranges::any_of(m_parts, [&](const Part& part) { return part.serves(made); }))
        return; // another thread was faster
    m_parts.push_front(made);
    m_bytes += made.bytes;
}

std::shared_ptr<const Curvature> Curvatures::make(const std::shared_ptr<const Hessian>& hessian,
                                                  const BlockFormat& format, CurvatureNeeds needs, Progress& progress)
{
    std::vector<Part> parts = partsOf(format, needs, hessian);
    std::uint64_t bytes = 0;
    for (Part& part : parts) {
        const bool found = find(part);
        bytes += found ? 0 : part.bytes;
        (part.needs.feedback ? needs.feedback : needs.moments) &= !found;
    }
    if (bytes > 0) {
        makeRoom(bytes, parts);
        const Curvature made = curvatureOf(*hessian, format, needs, progress);
        for (Part& part : parts) {
            if (part.needs.feedback ? !needs.feedback : !needs.moments)
                continue;
            part.feedback = part.needs.feedback ? made.feedback : nullptr;
            part.moments = part.needs.moments ? made.moments : nullptr;
            keep(part);
        }
    }
    Curvature result {.diagonal = hessian->diagonal(), .moments = nullptr, .feedback = nullptr};
    for (const Part& part : parts) {
        if (part.needs.feedback)
            result.feedback = part.feedback;
        else
            result.moments = part.moments;
    }
    return std::make_shared<const Curvature>(std::move(result));
}

std::shared_ptr<const Curvature> Curvatures::of(const Choice& choice, const InputStats* stats, long matrix,
                                                Progress& progress)
{
    const std::shared_ptr<const Hessian> hessian = hessianOf(stats, matrix);
    if (!hessian || !choice.quantizer || !choice.quantizer->curvature)
        return nullptr;
    const auto made = make(hessian, *choice.format, choice.quantizer->curvature(choice.settings), progress);
    return serves(*made, choice) ? made : nullptr;
}

std::shared_ptr<const Curvature> Curvatures::withMoments(const Choice& choice, const InputStats* stats, long matrix,
                                                         Progress& progress)
{
    const std::shared_ptr<const Hessian> hessian = hessianOf(stats, matrix);
    if (!hessian)
        return nullptr;
    CurvatureNeeds needs;
    if (choice.quantizer && choice.quantizer->curvature)
        needs = choice.quantizer->curvature(choice.settings);
    needs.moments = true;
    return make(hessian, *choice.format, needs, progress);
}

bool serves(const Curvature& curvature, const Choice& choice)
{
    const CurvatureNeeds needs = choice.quantizer->curvature(choice.settings);
    return !needs.feedback || curvature.feedback;
}

} // namespace quern
