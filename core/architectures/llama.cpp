#include "core/hyperparameters.h"

#include <array>

namespace quern {
namespace {

constexpr std::array<std::string_view, 3> kHuggingFace {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"};

constexpr std::array<TensorRole, 19> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "attention", Size::Heads, Size::Embedding,
     Change::InterleaveHeads},
    {"blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias", "attention", Size::Heads, Size::None,
     Change::InterleaveHeads, true},
    {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "attention", Size::KvHeads, Size::Embedding,
     Change::InterleaveKvHeads},
    {"blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias", "attention", Size::KvHeads, Size::None,
     Change::InterleaveKvHeads, true},
    {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias", "attention", Size::KvHeads, Size::None,
     Change::None, true},
    {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "attention", Size::Embedding, Size::Heads},
    {"blk.{}.attn_output.bias", "model.layers.{}.self_attn.o_proj.bias", "attention", Size::Embedding, Size::None,
     Change::None, true},
    {"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", "feed forward", Size::FeedForward,
     Size::Embedding},
    {"blk.{}.ffn_gate.bias", "model.layers.{}.mlp.gate_proj.bias", "feed forward", Size::FeedForward, Size::None,
     Change::None, true},
    {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", "feed forward", Size::FeedForward, Size::Embedding},
    {"blk.{}.ffn_up.bias", "model.layers.{}.mlp.up_proj.bias", "feed forward", Size::FeedForward, Size::None,
     Change::None, true},
    {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "feed forward", Size::Embedding,
     Size::FeedForward},
    {"blk.{}.ffn_down.bias", "model.layers.{}.mlp.down_proj.bias", "feed forward", Size::Embedding, Size::None,
     Change::None, true},
    {"output_norm.weight", "model.norm.weight", "norm", Size::Embedding},
    {"output.weight", "lm_head.weight", "output", Size::Vocabulary, Size::Embedding},
}};

Description describe(const Config& config)
{
    Describer describer("llama", config);
    describer.integer("rope.dimension_count", describer.headSize());
    Rope rope = Rope::read(config, 10000);
    if (rope.type == "llama3") {
        describer.description.vectors.push_back(
            {"rope_freqs.weight", llama3Factors(rope, config, describer.headSize())});
        rope.type = "default"; // the factors are all that llama.cpp needs
    }
    describer.rope(rope);
    describer.windowUnused(true);
    return std::move(describer.description);
}

} // namespace

// Llama 1 to 3, Mistral, SmolLM and all that share their layout.
extern const Architecture llama;
constinit const Architecture llama {.name = "llama",
                                    .huggingFace = kHuggingFace,
                                    .tensors = kTensors,
                                    .describe = describe,
                                    .computation = {.halves = false, .mayHaveExperts = true}};

} // namespace quern
