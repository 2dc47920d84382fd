#pragma once

#include "core/model.h"

namespace quern {

constexpr std::uint32_t kKeepFileType = ~0U; // Preset::fileType of COPY: general.file_type stays as it is

// A mix of types under llama.cpp's name. Gives every tensor the type that llama-quantize gives it, fallbacks included.
struct Preset {
    std::string_view name;   // "Q4_K_M"
    std::uint32_t fileType;  // general.file_type
    std::string_view format; // name of the type most tensors get; empty for COPY
    const char* summary;     // QUERN_TEXT, one sentence: what it is good for
};

std::span<const Preset> presets();
// Null if unknown; case does not matter; Q3_K, Q4_K and Q5_K stand for their middle sizes, as in llama-quantize.
const Preset* findPreset(std::string_view name);

// False for what llama.cpp stores as it is: vectors, norms, routers, position tables, ...
bool mayQuantize(const Tensor& tensor);

struct PresetType {
    const BlockFormat* format; // null: store as it is
    const BlockFormat* asked;  // what the mix wanted before the shape made it fall back, else null
};

// One per tensor of the model, in order. Throws Error if the workbench does not know a type of the mix.
// Departs from llama-quantize where that gives up: where a row fits neither the type nor the one it falls back to, or
// where there is none to fall back to, the tensor becomes F16.
std::vector<PresetType> typesOf(const Preset& preset, const Model& model, bool withImportance);

} // namespace quern
