#pragma once

#include "core/model.h"

namespace quern {

// A mix of types under llama.cpp's name. Gives every tensor the type that llama-quantize gives it, fallbacks included.
struct Preset {
    std::string_view name;   // "Q4_K_M"
    std::uint32_t fileType;  // general.file_type
    std::string_view format; // name of the type most tensors get
    const char* summary;     // QUERN_TEXT, one sentence: what it is good for
};

std::span<const Preset> presets();
const Preset* findPreset(std::string_view name); // null if unknown; case does not matter

// False for what llama.cpp stores as it is: vectors, norms, routers, position tables, ...
bool mayQuantize(const Tensor& tensor);

struct PresetType {
    const BlockFormat* format; // null: store as it is
    const BlockFormat* asked;  // what the mix wanted before the shape made it fall back, else null
};

// One per tensor of the model, in order.
std::vector<PresetType> typesOf(const Preset& preset, const Model& model, bool withImportance);

} // namespace quern
