#include "core/hyperparameters.h"

#include <array>

namespace quern {
namespace {

constexpr std::array<std::string_view, 1> kHuggingFace {"Qwen2ForCausalLM"};

constexpr std::array<TensorRole, 15> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "attention", Size::Heads, Size::Embedding},
    {"blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias", "attention", Size::Heads},
    {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias", "attention", Size::KvHeads},
    {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias", "attention", Size::KvHeads},
    {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "attention", Size::Embedding, Size::Heads},
    {"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", "feed forward", Size::FeedForward,
     Size::Embedding},
    {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", "feed forward", Size::FeedForward, Size::Embedding},
    {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "feed forward", Size::Embedding,
     Size::FeedForward},
    {"output_norm.weight", "model.norm.weight", "norm", Size::Embedding},
    {"output.weight", "lm_head.weight", "output", Size::Vocabulary, Size::Embedding},
}};

Description describe(const Config& config)
{
    Describer describer("qwen2", config);
    describer.rope(Rope::read(config, 10000));
    describer.windowUnused(false);
    return std::move(describer.description);
}

} // namespace

// Qwen 2 and 2.5.
extern const Architecture qwen2;
constinit const Architecture qwen2 {.name = "qwen2",
                                    .huggingFace = kHuggingFace,
                                    .tensors = kTensors,
                                    .describe = describe,
                                    .computation = {.biases = true}};

} // namespace quern
