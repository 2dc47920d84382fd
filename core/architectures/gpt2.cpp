#include "core/architecture.h"

namespace quern {

// GPT-2, from GGUF only.
extern const Architecture gpt2;
constinit const Architecture gpt2 {.name = "gpt2",
                                   .huggingFace = {},
                                   .tensors = {},
                                   .describe = nullptr,
                                   .computation = {.layerNorms = true,
                                                   .learnedPositions = true,
                                                   .fusedHeads = true,
                                                   .gated = false,
                                                   .activation = Activation::Gelu}};

} // namespace quern
