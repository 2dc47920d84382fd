#pragma once

#include "core/model.h"

namespace quern {

// SHA-256 of everything in a model that a computation with it depends on: metadata, and every tensor's name, shape,
// format and bytes. Reads all of the model. Hexadecimal. The same for any number of threads. Throws Error.
std::string fingerprint(const Model& model, Progress& progress);

} // namespace quern
