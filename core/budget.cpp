#include "core/budget.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace quern {

std::vector<KindShare> byKind(const Model& model, const Plan& plan, std::span<const std::optional<Distortion>> errors)
{
    assert(plan.tensors.size() == model.tensors.size() && errors.size() == model.tensors.size());
    std::vector<KindShare> shares;
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const Tensor& tensor = model.tensors[i];
        const std::string_view kind = kindOf(tensor.name);
        auto share = std::ranges::find(shares, kind, &KindShare::kind);
        if (share == shares.end())
            share = shares.insert(share, {.kind = std::string(kind)});
        share->weights += static_cast<std::uint64_t>(tensor.count());
        share->sourceBytes += tensor.bytes.size();
        share->methodBytes += plan.tensors[i].methodBytes;
        share->storedBytes += plan.tensors[i].storedBytes;
        ++share->tensors;
        if (errors[i]) {
            share->errorSquares += errors[i]->errorSquares;
            ++share->measured;
        }
    }
    return shares;
}

std::optional<double> relativeError(std::span<const std::optional<Distortion>> errors)
{
    double error = 0, weight = 0;
    for (const auto& distortion : errors)
        if (distortion) {
            error += distortion->errorSquares;
            weight += distortion->weightSquares;
        }
    return weight > 0 ? std::optional(std::sqrt(error / weight)) : std::nullopt;
}

} // namespace quern
