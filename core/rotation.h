#pragma once

#include "core/familykeys.h"
#include "core/network.h"

namespace quern {

// Sets the rotations of a model with rotary positions, from its metadata and its tensors of factors.
// Throws Error for what makes no sense.
void readRotations(Attention& attention, const Model& model, const Sizes& sizes, const Computation& family);

} // namespace quern
