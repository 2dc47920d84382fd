#include "core/hyperparameters.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace quern {
namespace {

constexpr std::array<std::string_view, 1> kHuggingFace {"Phi3ForCausalLM"};

constexpr std::array<TensorRole, 9> kTensors {{
    {"token_embd.weight", "model.embed_tokens.weight", "embedding", Size::Vocabulary, Size::Embedding},
    {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.attn_qkv.weight", "model.layers.{}.self_attn.qkv_proj.weight", "attention", Size::AllHeads,
     Size::Embedding},
    {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "attention", Size::Embedding, Size::Heads},
    {"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "norm", Size::Embedding},
    {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.gate_up_proj.weight", "feed forward", Size::FeedForwardTwice,
     Size::Embedding},
    {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "feed forward", Size::Embedding,
     Size::FeedForward},
    {"output_norm.weight", "model.norm.weight", "norm", Size::Embedding},
    {"output.weight", "lm_head.weight", "output", Size::Vocabulary, Size::Embedding},
}};

std::int64_t rotaryDimensions(const Config& config, const Rope& rope, std::int64_t headSize)
{
    const Config& place = rope.parameters && rope.parameters->has("partial_rotary_factor") ? *rope.parameters : config;
    const double part = place.number("partial_rotary_factor", 1);
    const auto dimensions = static_cast<std::int64_t>(part * static_cast<double>(headSize));
    if (!(part > 0 && part <= 1) || dimensions < 2 || dimensions % 2 != 0)
        place.refuse("partial_rotary_factor", "a part of at most 1 that gives an even number of dimensions");
    return dimensions;
}

// The context that the model was trained with before it was stretched.
std::int64_t originalContext(const Config& config, const Rope& rope)
{
    constexpr const char* kKey = "original_max_position_embeddings";
    if (rope.parameters && rope.parameters->has(kKey))
        return rope.parameters->positive(kKey);
    return config.positive(config.has(kKey) ? kKey : "max_position_embeddings");
}

// By how much attention is sharpened for the longer context: LongRoPE (Ding et al. 2024, arXiv 2402.13753, section 3.3)
// and YaRN (Peng et al. 2023, arXiv 2309.00071, eq. 22).
double attentionFactor(const std::string& type, std::int64_t context, std::int64_t original)
{
    const double scale = static_cast<double>(context) / static_cast<double>(original);
    if (scale <= 1 || original < 2)
        return 1;
    return type == "yarn" ? 0.1 * std::log(scale) + 1
                          : std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(original)));
}

Description::Vector factors(const Rope& rope, const std::string& length, std::int64_t dimensions)
{
    const std::string key = length + "_factor";
    const std::vector<double> values = rope.parameters->numbers(key);
    if (static_cast<std::int64_t>(values.size()) != dimensions / 2)
        rope.parameters->refuse(key, "a list of " + std::to_string(dimensions / 2) + " numbers");
    return {"rope_factors_" + length + ".weight", {values.begin(), values.end()}};
}

Description describe(const Config& config)
{
    Describer describer("phi3", config);
    const std::int64_t context = config.positive("max_position_embeddings");
    const Rope rope = Rope::read(config, 10000);
    const std::int64_t dimensions = rotaryDimensions(config, rope, describer.headSize());
    describer.integer("rope.dimension_count", dimensions);
    const std::int64_t original = originalContext(config, rope);
    describer.integer("rope.scaling.original_context_length", original);
    describer.integer("attention.sliding_window", std::max<std::int64_t>(config.integer("sliding_window", 0), 0));
    if (rope.type == "longrope" || rope.type == "su" || (rope.type == "yarn" && rope.parameters->has("long_factor"))) {
        describer.number("rope.freq_base", rope.base);
        describer.number("rope.scaling.attn_factor", attentionFactor(rope.type, context, original));
        for (const char* length : {"long", "short"})
            describer.description.vectors.push_back(factors(rope, length, dimensions));
    } else {
        describer.rope(rope);
    }
    return std::move(describer.description);
}

} // namespace

// Phi 3 and 4. Query, key and value are one tensor, gate and up another, in GGUF as in Hugging Face.
extern const Architecture phi3;
constinit const Architecture phi3 {.name = "phi3",
                                   .huggingFace = kHuggingFace,
                                   .tensors = kTensors,
                                   .describe = describe,
                                   .computation = {.fusedHeads = true, .fusedGate = true}};

} // namespace quern
