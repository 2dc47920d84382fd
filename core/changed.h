#pragma once

#include "core/model.h"
#include "core/progress.h"

#include <functional>

namespace quern {

// The rows [first, first + n) of a tensor with the values that it is to have. Called from several threads.
using ChangedRows = std::function<Matrix(const Tensor& tensor, long first, long n)>;

// The model with other values in the tensors that `isChanged`. Those are held as F32 in an unnamed file in the
// workspace (the system's folder for temporary files if empty), 4 bytes a weight; all others are views of `model`.
// Throws Error, Cancelled.
Model changed(const Model& model, const std::function<bool(const Tensor&)>& isChanged, const ChangedRows& rows,
              const std::filesystem::path& workspace, Progress& progress);

} // namespace quern
