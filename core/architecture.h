#pragma once

#include "core/metadata.h"
#include "core/tensor.h"

namespace quern {

class Config; // Hugging Face's config.json: core/huggingface.h

// What changes on the way from Hugging Face's tensor to GGUF's.
enum class Change {
    None,
    InterleaveHeads,   // rows of rotary query heads: Tensor::headRows
    InterleaveKvHeads, // the same for key heads
    AddOne,            // Gemma's norms: GGUF stores 1 + w
};

// Where a tensor of this family comes from and what it is. {} stands for the layer number.
struct TensorRole {
    std::string_view name;        // "blk.{}.attn_q.weight", as in GGUF and in this program
    std::string_view huggingFace; // "model.layers.{}.self_attn.q_proj.weight"
    std::string_view part;        // "attention", "feed forward", "embedding", "norm", "output": how views group them
    Change change = Change::None;
};

// A family of transformers.
struct Architecture {
    std::string_view name;                         // "llama": general.architecture in GGUF
    std::span<const std::string_view> huggingFace; // config.json architectures: "LlamaForCausalLM"
    std::span<const TensorRole> tensors;
    // Writes the hyperparameters that llama.cpp reads, "llama.block_count" and so on. Throws Error, naming the key of
    // config.json that is missing or makes no sense.
    void (*describe)(const Config& config, Metadata& metadata);
};

std::span<const Architecture* const> architectures();
const Architecture* findArchitecture(std::string_view name);            // by GGUF's name; null if unknown
const Architecture* findHuggingFaceArchitecture(std::string_view name); // by config.json's; null if unknown

} // namespace quern
