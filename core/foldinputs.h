#pragma once

#include "core/calibration.h"
#include "core/folds.h"

#include <functional>

namespace quern {

// What calibration knows of the inputs of a fold's channels.

// The consumers' common statistics; null where the calibration has none of them.
const InputStats* inputsOf(const Fold& fold, const Calibration& calibration);

// body for every fold whose inputs the calibration knows, in order; reports how far it is.
void forEachKnown(std::span<const Fold> folds, const Calibration& calibration, Progress& progress,
                  const std::function<void(const Fold&, const InputStats&)>& body);

// Matrices x channels from a value for each column of each matrix of a consumer; of columns that share a channel the
// largest. Of all experts together where one set of scales serves all.
Matrix ofChannels(const Fold& fold, const Eigen::Ref<const Matrix>& columns);

// Mean |x| and largest |x| of every channel. Throws Error, naming the tensor, where the calibration does not know them.
Matrix meanMagnitudes(const Fold& fold, const InputStats& stats);
Matrix largestMagnitudes(const Fold& fold, const InputStats& stats);

} // namespace quern
