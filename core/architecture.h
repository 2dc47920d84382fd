#pragma once

#include "core/error.h"
#include "core/metadata.h"
#include "core/tensor.h"

#include <optional>

namespace quern {

class Config; // Hugging Face's config.json: core/config.h

// What changes on the way from Hugging Face's tensor to GGUF's.
enum class Change {
    None,
    InterleaveHeads,   // rows of rotary query heads: Tensor::headRows
    InterleaveKvHeads, // the same for key heads
    AddOne,            // Gemma's norms: GGUF stores 1 + w
};

// A dimension of a tensor, in hyperparameters.
enum class Size {
    None,             // a vector has no columns
    Vocabulary,       // tokens, and the padding that some models add
    Embedding,        // embedding_length
    FeedForward,      // feed_forward_length
    FeedForwardTwice, // gate and up in one
    Head,             // attention.key_length
    Heads,            // attention.head_count x attention.key_length
    KvHeads,          // attention.head_count_kv x attention.key_length
    AllHeads,         // query, key and value in one: Heads + 2 KvHeads
};

// Where a tensor of this family comes from and what it is. {} stands for the layer number.
struct TensorRole {
    std::string_view name;        // "blk.{}.attn_q.weight", as in GGUF and in this program
    std::string_view huggingFace; // "model.layers.{}.self_attn.q_proj.weight"
    std::string_view part;        // "attention", "feed forward", "embedding", "norm", "output": how views group them
    Size rows = Size::None, cols = Size::None;
    Change change = Change::None;
    bool optional = false; // llama.cpp runs models without it
};

// What a config.json means for GGUF.
struct Description {
    struct Vector {
        std::string name;
        std::vector<float> values;
    };

    Metadata metadata; // hyperparameters that llama.cpp reads: "llama.block_count" and so on
    std::vector<Vector>
        vectors; // tensors that Hugging Face computes and llama.cpp reads: factors of rotary frequencies
    std::vector<std::string> warnings; // where llama.cpp will not do exactly the same, a sentence each
    std::optional<Error> obstacle;     // what llama.cpp cannot do
};

// A family of transformers.
struct Architecture {
    std::string_view name;                         // "llama": general.architecture in GGUF
    std::span<const std::string_view> huggingFace; // config.json architectures: "LlamaForCausalLM"
    std::span<const TensorRole> tensors;
    // Throws Error, naming the key of config.json that is missing or makes no sense.
    Description (*describe)(const Config& config);
};

std::span<const Architecture* const> architectures();
const Architecture* findArchitecture(std::string_view name);            // by GGUF's name; null if unknown
const Architecture* findHuggingFaceArchitecture(std::string_view name); // by config.json's; null if unknown

} // namespace quern
