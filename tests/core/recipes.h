#pragma once

#include "core/quantize.h"
#include "tests/core/modelmaker.h"

// Recipes and what they are tried on.
namespace recipes {

using namespace quern;

inline Model small()
{
    return modelmaker::llama(
        {.layers = 4, .width = 256, .hidden = 512, .keyWidth = 256, .vocabulary = 512, .heads = 4, .keyHeads = 4});
}

inline Recipe recipe(std::vector<Rule> rules)
{
    return {.name = "test", .preset = nullptr, .rules = std::move(rules)};
}

inline Choice to(const char* format)
{
    return {.quantizer = findQuantizer("nearest"), .format = findBlockFormat(format), .settings = {}};
}

inline const PlannedTensor& planned(const Plan& plan, const Model& model, std::string_view name)
{
    return plan.tensors[static_cast<std::size_t>(model.find(name) - model.tensors.data())];
}

} // namespace recipes
