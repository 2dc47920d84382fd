#pragma once

#include "core/recipe.h"

namespace quern {

// How far a choice made on one tensor reaches.
enum class Reach { Tensor, Kind, Layer, All };

// The pattern that reaches so far from `tensorName`: "blk.3.ffn_down.weight", "blk.*.ffn_down.weight", "blk.3.*", "*".
// Outside the layers Kind and Layer are the tensor itself.
std::string patternFor(Reach reach, std::string_view tensorName);

// The recipe with one more rule at its end. Rules that it makes void (same pattern; or a tensor or kind that the new
// pattern covers) are dropped, so that moving a slider does not pile up rules.
Recipe withRule(Recipe recipe, Rule rule);

// The recipe without the rules that decide about the tensors which `pattern` covers and no others.
Recipe withoutRules(Recipe recipe, std::string_view pattern);

} // namespace quern
