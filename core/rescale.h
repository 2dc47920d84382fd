#pragma once

#include "core/calibration.h"
#include "core/folds.h"

namespace quern {

// The model with its tensors multiplied. Those that change are held as F32 in an unnamed file in the workspace (the
// system's folder for temporary files if empty), 4 bytes a weight; all others are views of `model`. Throws Error,
// Cancelled.
Model rescaled(const Model& model, const FactorsByName& factors, const std::filesystem::path& workspace,
               Progress& progress);

// What the rescaled model would have seen: inputs of multiplied columns are divided. Histograms of what changes are
// dropped. H is shared, with its scales beside it.
Calibration rescaled(const Calibration& calibration, const FactorsByName& factors);

} // namespace quern
