#pragma once

#include "core/model.h"

namespace quern {

// Tells models apart by what is in them without reading all of it, as fingerprint() would: of sourceHash and of the
// first and last bytes of every tensor, so that two trainings of one model differ. Hexadecimal. Throws Error if bytes
// have been lost.
std::string modelKey(const Model& model);

} // namespace quern
