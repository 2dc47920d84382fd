#pragma once

#include "core/model.h"

namespace quern {

// Looks at a bounded part of the weights (all of them in small models), spread over all tensors, and adds a warning to
// the model if some are no finite numbers. Cheap: opening a model must stay so.
void warnOfNonFinite(Model& model);

} // namespace quern
