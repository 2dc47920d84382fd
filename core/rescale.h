#pragma once

#include "core/calibration.h"
#include "core/folds.h"

namespace quern {

// The model with its tensors multiplied: views of the same bytes, multiplied whenever they are decoded.
Model rescaled(const Model& model, const FactorsByName& factors);

// What the rescaled model would have seen: inputs of multiplied columns are divided. Histograms of what changes are
// dropped. H is shared, with its scales beside it.
Calibration rescaled(const Calibration& calibration, const FactorsByName& factors);

} // namespace quern
