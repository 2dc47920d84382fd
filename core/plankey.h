#pragma once

#include "core/recipe.h"

namespace quern {

// Tells plans for one model apart by what quantize makes of it: of the choice for every tensor, of what the calibration
// knows of those that are quantized (of all, if there are rewrites), and of the program's version. Hexadecimal.
// calibration: null if there is none.
std::string planKey(const Plan& plan, const Model& model, const Calibration* calibration);

} // namespace quern
