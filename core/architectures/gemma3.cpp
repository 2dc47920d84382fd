#include "core/hyperparameters.h"

#include <algorithm>
#include <array>

namespace quern {
namespace {

constexpr std::array<std::string_view, 2> kHuggingFace {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};

constexpr std::array<TensorRole, 15> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding, Size::None,
     Change::AddOne},
    {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "attention", Size::Heads, Size::Embedding},
    {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "attention", Size::KvHeads, Size::Embedding},
    {"blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight", "norm", Size::Head, Size::None,
     Change::AddOne},
    {"blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight", "norm", Size::Head, Size::None,
     Change::AddOne},
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

constexpr std::int64_t kPeriod = 6; // llama.cpp's own, after every five layers with a window one without

// Of the layers that see a window only: rope_local_base_freq, or since transformers 5 among rope_parameters.
double localBase(const Config& config)
{
    const double base = config.number("rope_local_base_freq", 10000);
    if (!config.has("rope_parameters") || !config.object("rope_parameters").has("sliding_attention"))
        return base;
    return config.object("rope_parameters").object("sliding_attention").number("rope_theta", base);
}

// Layers until attention without a window comes again. Named, or to be seen in the list of layers.
std::int64_t period(const Config& config)
{
    if (config.has("sliding_window_pattern"))
        return config.positive("sliding_window_pattern");
    if (!config.has("layer_types"))
        return kPeriod;
    const std::vector<std::string> types = config.texts("layer_types");
    const auto first = std::ranges::find(types, "full_attention") - types.begin();
    for (std::size_t i = 0; i < types.size(); ++i)
        if ((types[i] == "full_attention") != (static_cast<std::ptrdiff_t>(i) % (first + 1) == first))
            config.refuse("layer_types", "a full_attention in regular distances");
    return first == static_cast<std::ptrdiff_t>(types.size()) && first < kPeriod ? kPeriod : first + 1;
}

Description describe(const Config& config)
{
    Describer describer("gemma3", config,
                        {.heads = 8, .kvHeads = 4, .headSize = 256, .context = 131072, .epsilon = 1e-6});
    const Rope rope = Rope::read(config, 1e6, "full_attention");
    describer.rope(rope);
    describer.number("rope.freq_base_swa", localBase(config));
    describer.integer("attention.sliding_window", config.positive("sliding_window"));
    if (config.has("final_logit_softcapping"))
        describer.number("final_logit_softcapping", config.number("final_logit_softcapping"));
    if (period(config) != kPeriod)
        describer.integer("attention.sliding_window_pattern", period(config));
    describer.attentionScale(62);
    return std::move(describer.description);
}

} // namespace

// Gemma 3, the text part of the models that also see included.
extern const Architecture gemma3;
constinit const Architecture gemma3 {.name = "gemma3",
                                     .huggingFace = kHuggingFace,
                                     .tensors = kTensors,
                                     .describe = describe,
                                     .computation = {.headNorms = true,
                                                     .postNorms = true,
                                                     .activation = Activation::Gelu,
                                                     .scaledEmbedding = true,
                                                     .widthScaledLayers = 62,
                                                     .capsLogits = true,
                                                     .windowPeriod = 6,
                                                     .localBase = 10000}};

} // namespace quern
