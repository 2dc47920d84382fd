#include "core/architecture.h"

namespace quern {

// Qwen 1.5 and 2 with experts, one of them for all tokens; from GGUF only.
extern const Architecture qwen2moe;
constinit const Architecture qwen2moe {
    .name = "qwen2moe",
    .huggingFace = {},
    .tensors = {},
    .describe = nullptr,
    .computation = {.biases = true, .needsExperts = true, .sharedExpert = true, .normsExperts = false}};

} // namespace quern
