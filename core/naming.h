#pragma once

#include "core/architecture.h"
#include "core/model.h"

namespace quern {

// Gives the tensors of a Hugging Face model the names, the order and the form that GGUF has for this family, and adds
// those that the description brings. A tensor that the family's table does not know keeps its name; this, a missing
// tensor or one of a wrong shape become the model's obstacle, unless it has one already. tied: the output is the
// embedding (tie_word_embeddings).
void nameTensors(Model& model, const Architecture& architecture, const Description& description, bool tied);

} // namespace quern
