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

enum class Activation { Silu, Gelu }; // of GELU the tanh approximation

// How a family computes, as far as neither its tensors' shapes nor its metadata say it. What is not named is as in
// Llama: norms by the root mean square, rotary positions, no biases needed, a gated feed forward part.
struct Computation {
    bool halves = true;            // rotary pairs are (i, i + dimensions / 2), else (2 i, 2 i + 1)
    bool layerNorms = false;       // of mean and deviation, with biases
    bool learnedPositions = false; // added to the embedding; nothing turns
    bool biases = false;           // of query, key and value, or of all where layerNorms; else they may be there or not
    bool headNorms = false;        // of query and key heads
    bool postNorms = false;        // of what attention and feed forward part add
    bool fusedHeads = false;       // query, key and value are one tensor
    bool gated = true;             // the feed forward part multiplies two matrices' products
    bool fusedGate = false;        // they are one tensor, the gate first
    Activation activation = Activation::Silu;
    bool scaledEmbedding = false; // by the root of the width
    long widthScaledLayers = 0;   // a model of so many layers scales attention by width / heads, not the heads' size
    double attentionCap = 0, logitCap = 0; // soft caps where the metadata give none; 0: none, whatever they give
    bool capsLogits = false;               // where the metadata ask for it
    long window = 0, windowPeriod = 0;     // where the metadata give none; period 0: no window, whatever they give
    double localBase = 0; // of rotary positions in blocks with a window, where the metadata give none; 0: as the others
    bool needsExperts = false, mayHaveExperts = false;
    bool sharedExpert = false;
    bool normsExperts = true; // the weights of the experts used add up to 1
};

// A family of transformers.
struct Architecture {
    std::string_view name; // "llama": general.architecture in GGUF
    std::span<const std::string_view>
        huggingFace; // config.json architectures: "LlamaForCausalLM"; empty: only GGUF files can be read
    std::span<const TensorRole> tensors;
    // Throws Error, naming the key of config.json that is missing or makes no sense.
    Description (*describe)(const Config& config); // null where huggingFace is empty
    Computation computation;
};

std::span<const Architecture* const> architectures();
const Architecture* findArchitecture(std::string_view name);            // by GGUF's name; null if unknown
const Architecture* findHuggingFaceArchitecture(std::string_view name); // by config.json's; null if unknown

} // namespace quern
