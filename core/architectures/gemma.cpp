#include "core/hyperparameters.h"

#include <array>

namespace quern {
namespace {

constexpr std::array<std::string_view, 1> kHuggingFace {"GemmaForCausalLM"};

constexpr std::array<TensorRole, 11> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding, Size::None,
     Change::AddOne},
    {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "attention", Size::Heads, Size::Embedding},
    {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "attention", Size::Embedding, Size::Heads},
    {"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "norm", Size::Embedding, Size::None,
     Change::AddOne},
    {"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", "feed forward", Size::FeedForward,
     Size::Embedding},
    {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", "feed forward", Size::FeedForward, Size::Embedding},
    {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "feed forward", Size::Embedding,
     Size::FeedForward},
    {"output_norm.weight", "model.norm.weight", "norm", Size::Embedding, Size::None, Change::AddOne},
}};

Description describe(const Config& config)
{
    Describer describer("gemma", config, {.headSize = 256});
    describer.rope(Rope::read(config, 10000));
    return std::move(describer.description);
}

} // namespace

// Gemma and CodeGemma.
extern const Architecture gemma;
constinit const Architecture gemma {.name = "gemma",
                                    .huggingFace = kHuggingFace,
                                    .tensors = kTensors,
                                    .describe = describe,
                                    .computation = {.activation = Activation::Gelu, .scaledEmbedding = true}};

} // namespace quern
