#include "core/hyperparameters.h"

#include <array>

namespace quern {
namespace {

constexpr std::array<std::string_view, 1> kHuggingFace {"Gemma2ForCausalLM"};

constexpr std::array<TensorRole, 13> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding, Size::None,
     Change::AddOne},
    {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "attention", Size::Heads, Size::Embedding},
    {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "attention", Size::Embedding, Size::Heads},
    {"blk.{}.post_attention_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "norm", Size::Embedding,
     Size::None, Change::AddOne},
    {"blk.{}.ffn_norm.weight", "model.layers.{}.pre_feedforward_layernorm.weight", "norm", Size::Embedding, Size::None,
     Change::AddOne},
    {"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", "feed forward", Size::FeedForward,
     Size::Embedding},
    {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", "feed forward", Size::FeedForward, Size::Embedding},
    {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "feed forward", Size::Embedding,
     Size::FeedForward},
    {"blk.{}.post_ffw_norm.weight", "model.layers.{}.post_feedforward_layernorm.weight", "norm", Size::Embedding,
     Size::None, Change::AddOne},
    {"output_norm.weight", "model.norm.weight", "norm", Size::Embedding, Size::None, Change::AddOne},
}};

Description describe(const Config& config)
{
    Describer describer("gemma2", config, {.headSize = 256, .epsilon = 1e-6});
    describer.rope(Rope::read(config, 10000));
    describer.number("attn_logit_softcapping", config.number("attn_logit_softcapping", 50));
    describer.number("final_logit_softcapping", config.number("final_logit_softcapping", 30));
    describer.integer("attention.sliding_window", config.integer("sliding_window", 4096));
    describer.attentionScale(46);
    return std::move(describer.description);
}

} // namespace

// Gemma 2.
extern const Architecture gemma2;
constinit const Architecture gemma2 {.name = "gemma2",
                                     .huggingFace = kHuggingFace,
                                     .tensors = kTensors,
                                     .describe = describe,
                                     .computation = {.postNorms = true,
                                                     .activation = Activation::Gelu,
                                                     .scaledEmbedding = true,
                                                     .widthScaledLayers = 46,
                                                     .attentionCap = 50,
                                                     .logitCap = 30,
                                                     .window = 4096,
                                                     .windowPeriod = 2}};

} // namespace quern
