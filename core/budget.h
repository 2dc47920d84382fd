#pragma once

#include "core/distortion.h"
#include "core/recipe.h"

#include <optional>

namespace quern {

// What the tensors of one kind ("ffn_down", of all layers) take and lose under a plan.
struct KindShare {
    std::string kind;
    std::uint64_t weights = 0;
    std::uint64_t sourceBytes = 0, methodBytes = 0, storedBytes = 0;
    double errorSquares = 0; // sum of (w - q)^2 over the tensors measured so far
    long tensors = 0, measured = 0;
};

// By kindOf(), in order of first appearance. errors: one per tensor of the model.
std::vector<KindShare> byKind(const Model& model, const Plan& plan, std::span<const std::optional<Distortion>> errors);

// Of all tensors measured: sqrt(sum of errors^2 / sum of weights^2); none if nothing is measured.
std::optional<double> relativeError(std::span<const std::optional<Distortion>> errors);

} // namespace quern
