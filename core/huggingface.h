#pragma once

#include "core/config.h"
#include "core/model.h"

namespace quern {

// Turns a model with Hugging Face's tensor names, as its container has opened it from `folder`, into what the rest of
// the program knows: reads config.json and the tokenizer beside it, renames tensors to GGUF's names, marks rotary rows
// (Tensor::headRows), converts vectors, fills the metadata. A model of an unknown family keeps its names and gets an
// obstacle. Throws Error where the configuration of a known family makes no sense.
void nameCanonically(Model& model, const std::filesystem::path& folder);

} // namespace quern
