#include "core/architecture.h"

namespace quern {

// Qwen 3 with experts, from GGUF only.
extern const Architecture qwen3moe;
constinit const Architecture qwen3moe {.name = "qwen3moe",
                                       .huggingFace = {},
                                       .tensors = {},
                                       .describe = nullptr,
                                       .computation = {.headNorms = true, .needsExperts = true}};

} // namespace quern
