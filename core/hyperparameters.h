#pragma once

#include "core/architecture.h"
#include "core/config.h"

#include <optional>
#include <string>
#include <string_view>

namespace quern {

// Rotary positions as config.json describes them: rope_parameters (since transformers 5), or rope_theta and
// rope_scaling.
struct Rope {
    double base;                      // theta
    std::string type;                 // "default", "linear", "yarn", "llama3", "longrope", ...
    std::optional<Config> parameters; // what the type needs

    // base: where config.json names none. layers: of models whose layers differ, "full_attention".
    static Rope read(const Config& config, double base, std::string_view layers = {});
};

// What holds where config.json leaves a key out; 0: it must be there.
struct Defaults {
    std::int64_t heads = 0, kvHeads = 0, headSize = 0, context = 0; // kvHeads 0: as many as heads
    double epsilon = 0;
};

// Collects what describe() returns, under the keys of one family.
class Describer {
public:
    // Writes what every decoder has: layers, lengths, heads, the norms' epsilon.
    Describer(std::string_view family, const Config& config, const Defaults& defaults = {});

    // By the end of their GGUF key: "rope.freq_base".
    void integer(std::string_view key, std::int64_t value); // as UINT32
    void number(std::string_view key, double value);        // as FLOAT32
    void text(std::string_view key, std::string value);

    // rope.freq_base and, of the types "linear" and "yarn", rope.scaling.*. An obstacle for types that llama.cpp does
    // not know in this family.
    void rope(const Rope& rope);

    // Warns where config.json asks for attention to a window of tokens that llama.cpp does not apply in this family.
    // byDefault: whether it asks by naming sliding_window alone.
    void windowUnused(bool byDefault);

    // llama.cpp scales Gemma's attention by the size of a head, and in models of `largest` layers by that of the
    // embedding over the heads. An obstacle where config.json asks for something else (query_pre_attn_scalar).
    void attentionScale(std::int64_t largest);

    std::int64_t headSize() const { return m_headSize; }
    const Config& config() const { return m_config; }

    Description description;

private:
    void yarn(const Config& parameters);

    std::string m_family;
    Config m_config;
    std::int64_t m_headSize = 0;
};

// What Llama 3's scaling divides the rotary frequencies by, one factor for each pair of a head's dimensions
// (transformers: modeling_rope_utils.py, _compute_llama3_parameters).
std::vector<float> llama3Factors(const Rope& rope, const Config& config, std::int64_t headSize);

} // namespace quern
