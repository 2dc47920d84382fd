#pragma once

#include "core/calibration.h"
#include "core/folds.h"

namespace quern {

// What calibration knows of the inputs of a fold's channels.

// The consumers' common statistics; null where the calibration has none of them.
const InputStats* inputsOf(const Fold& fold, const Calibration& calibration);

// Matrices x channels from a value for each column of each matrix of a consumer; of columns that share a channel the
// largest. Of all experts together where one set of scales serves all.
Matrix ofChannels(const Fold& fold, const Eigen::Ref<const Matrix>& columns);

// Mean |x| and largest |x| of every channel. Throws Error, naming the tensor, where the calibration does not know them.
Matrix meanMagnitudes(const Fold& fold, const InputStats& stats);
Matrix largestMagnitudes(const Fold& fold, const InputStats& stats);

} // namespace quern
