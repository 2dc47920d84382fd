#include "core/hyperparameters.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace quern {
namespace {

constexpr std::int64_t kMostLayers = 512; // of llama.cpp, LLAMA_MAX_LAYERS

// absent: 0 if the key must be there.
std::int64_t positive(const Config& config, std::string_view key, std::int64_t absent)
{
    return config.has(key) || absent == 0 ? config.positive(key) : absent;
}

std::int64_t headSizeOf(const Config& config, std::int64_t heads, std::int64_t absent)
{
    if (config.has("head_dim") || absent > 0)
        return positive(config, "head_dim", absent);
    const std::int64_t hidden = config.positive("hidden_size");
    if (hidden % heads != 0)
        config.refuse("num_attention_heads", "a divisor of hidden_size");
    return hidden / heads;
}

double positiveNumber(const Config& config, std::string_view key, double absent)
{
    const double value = config.number(key, absent);
    if (!(value > 0))
        config.refuse(key, "a number above 0");
    return value;
}

} // namespace

Rope Rope::read(const Config& config, double base, std::string_view layers)
{
    Rope rope {positiveNumber(config, "rope_theta", base), "default", {}};
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
        if (!config.has(key))
            continue;
        Config parameters = config.object(key);
        if (!layers.empty() && parameters.has(layers))
            parameters = parameters.object(layers);
        rope.base = positiveNumber(parameters, "rope_theta", rope.base);
        rope.type = parameters.text("rope_type", parameters.text("type", "default"));
        rope.parameters = parameters;
    }
    return rope;
}

Describer::Describer(std::string_view family, const Config& config, const Defaults& defaults)
    : m_family(family)
    , m_config(config)
{
    const std::int64_t heads = positive(config, "num_attention_heads", defaults.heads);
    const std::int64_t kvHeads
        = positive(config, "num_key_value_heads", defaults.kvHeads > 0 ? defaults.kvHeads : heads);
    if (heads % kvHeads != 0)
        config.refuse("num_key_value_heads", "a divisor of num_attention_heads");
    m_headSize = headSizeOf(config, heads, defaults.headSize);
    if (m_headSize % 2 != 0)
        config.refuse(config.has("head_dim") ? "head_dim" : "hidden_size", "one that gives heads of even size");
    const std::int64_t layers = config.positive("num_hidden_layers");
    if (layers > kMostLayers)
        config.refuse("num_hidden_layers", "at most " + std::to_string(kMostLayers));

    integer("block_count", layers);
    integer("context_length", positive(config, "max_position_embeddings", defaults.context));
    integer("embedding_length", config.positive("hidden_size"));
    integer("feed_forward_length", config.positive("intermediate_size"));
    integer("attention.head_count", heads);
    integer("attention.head_count_kv", kvHeads);
    integer("attention.key_length", m_headSize);
    integer("attention.value_length", m_headSize);
    if (!config.has("rms_norm_eps") && defaults.epsilon == 0)
        config.refuse("rms_norm_eps", "a number above 0");
    number("attention.layer_norm_rms_epsilon", positiveNumber(config, "rms_norm_eps", defaults.epsilon));
}

void Describer::integer(std::string_view key, std::int64_t value)
{
    const std::string name = m_family + '.' + std::string(key);
    if (value < 0 || value > std::numeric_limits<std::uint32_t>::max())
        fail(QUERN_TEXT("core", "%1 gives %2 the value %3, which GGUF cannot store."), m_config.source(), name, value);
    description.metadata.set(name, static_cast<std::uint32_t>(value));
}

void Describer::number(std::string_view key, double value)
{
    description.metadata.set(m_family + '.' + std::string(key), static_cast<float>(value));
}

void Describer::text(std::string_view key, std::string value)
{
    description.metadata.set(m_family + '.' + std::string(key), std::move(value));
}

void Describer::rope(const Rope& rope)
{
    number("rope.freq_base", rope.base);
    if (rope.type == "linear") {
        text("rope.scaling.type", "linear");
        number("rope.scaling.factor", rope.parameters->number("factor"));
    } else if (rope.type == "yarn") {
        yarn(*rope.parameters);
    } else if (rope.type == "dynamic") {
        description.warnings.push_back(sentence(
            QUERN_TEXT("core",
                       "%1 asks for dynamic scaling of the rotary positions, which llama.cpp does not do: beyond "
                       "%2 tokens it will differ."),
            m_config.source(), m_config.integer("max_position_embeddings", 0)));
    } else if (rope.type != "default") {
        description.obstacle.emplace(
            QUERN_TEXT("core",
                       "%1 asks for rotary positions of the type %2, which llama.cpp does not know in models of the "
                       "family %3. The model cannot be exported as GGUF."),
            std::vector<std::string> {m_config.source(), rope.type, m_family});
    }
}

void Describer::yarn(const Config& parameters)
{
    text("rope.scaling.type", "yarn");
    number("rope.scaling.factor", parameters.number("factor"));
    integer("rope.scaling.original_context_length",
            parameters.has("original_max_position_embeddings") ? parameters.positive("original_max_position_embeddings")
                                                               : m_config.positive("max_position_embeddings"));
    constexpr struct {
        const char *huggingFace, *key;
    } kOptional[] {{"extrapolation_factor", "rope.scaling.yarn_ext_factor"},
                   {"attention_factor", "rope.scaling.yarn_attn_factor"},
                   {"beta_fast", "rope.scaling.yarn_beta_fast"},
                   {"beta_slow", "rope.scaling.yarn_beta_slow"}};
    for (const auto& [huggingFace, key] : kOptional)
        if (parameters.has(huggingFace))
            number(key, parameters.number(huggingFace));
}

void Describer::windowUnused(bool byDefault)
{
    if (!m_config.has("sliding_window") || !m_config.flag("use_sliding_window", byDefault))
        return;
    const std::int64_t window = m_config.integer("sliding_window");
    if (window > 0 && window < m_config.integer("max_position_embeddings", 0))
        description.warnings.push_back(
            sentence(QUERN_TEXT("core",
                                "%1 limits attention to the last %2 tokens. llama.cpp does not in models of the family "
                                "%3: longer texts will differ."),
                     m_config.source(), window, m_family));
}

void Describer::attentionScale(std::int64_t largest)
{
    const char* key = "query_pre_attn_scalar";
    const bool isLargest = m_config.integer("num_hidden_layers") == largest;
    const std::int64_t applied
        = isLargest ? m_config.integer("hidden_size") / m_config.integer("num_attention_heads") : m_headSize;
    if (m_config.number(key, static_cast<double>(applied)) != static_cast<double>(applied))
        description.obstacle.emplace(
            QUERN_TEXT(
                "core",
                "%1 scales attention by %2 (query_pre_attn_scalar); llama.cpp takes %3 in such a model and would "
                "compute something else. It cannot be exported as GGUF."),
            std::vector<std::string> {m_config.source(), toText(m_config.number(key)), toText(applied)});
}

std::vector<float> llama3Factors(const Rope& rope, const Config& config, std::int64_t headSize)
{
    const Config& parameters = *rope.parameters;
    const double factor = positiveNumber(parameters, "factor", 8);
    const double low = positiveNumber(parameters, "low_freq_factor", 1);
    const double high = positiveNumber(parameters, "high_freq_factor", 4);
    if (high <= low)
        parameters.refuse("high_freq_factor", "a number above low_freq_factor");
    constexpr const char* kContext = "original_max_position_embeddings";
    const double context
        = parameters.has(kContext) ? positiveNumber(parameters, kContext, 0) : positiveNumber(config, kContext, 8192);
    std::vector<float> factors;
    for (std::int64_t i = 0; i < headSize; i += 2) {
        const double waveLength
            = 2 * std::numbers::pi * std::pow(rope.base, static_cast<double>(i) / static_cast<double>(headSize));
        const double smooth = (context / waveLength - low) / (high - low);
        factors.push_back(static_cast<float>(smooth >= 1       ? 1
                                                 : smooth <= 0 ? factor
                                                               : 1 / ((1 - smooth) / factor + smooth)));
    }
    return factors;
}

} // namespace quern
