#pragma once

#include "tests/core/tinymodel.h"

// A tiny model of every family and of every kind of rotary scaling.
namespace tiny {

struct Case {
    const char* row;
    const char* family; // of config.json
    const char* architecture;
    Layout layout;
    Json changes;
};

inline Json longRope()
{
    std::vector<double> shorter(8, 1.0), longer;
    for (int i = 0; i < 8; ++i)
        longer.push_back(1 + 0.5 * i);
    return {{"type", "longrope"}, {"short_factor", shorter}, {"long_factor", longer}};
}

inline std::vector<Case> cases()
{
    const Layout plain, biases {.biases = true}, allBiases {.biases = true, .outputBiases = true},
        headNorms {.headNorms = true}, gemma {.normMean = 0}, gemma2 {.fourNorms = true, .normMean = 0},
        gemma3 {.headNorms = true, .fourNorms = true, .normMean = 0}, fused {.fused = true};
    const Json llama3 {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 64}};
    return {
        {"llama", "LlamaForCausalLM", "llama", plain, {}},
        {"llama-tied", "LlamaForCausalLM", "llama", plain, {{"tie_word_embeddings", true}}},
        {"llama-biases", "LlamaForCausalLM", "llama", allBiases, {}},
        {"llama3", "LlamaForCausalLM", "llama", plain, {{"rope_scaling", llama3}}},
        {"llama-linear", "LlamaForCausalLM", "llama", plain, {{"rope_scaling", {{"type", "linear"}, {"factor", 4.0}}}}},
        {"llama-wide-heads", "LlamaForCausalLM", "llama", plain, {{"head_dim", 32}}},
        {"mistral", "MistralForCausalLM", "llama", plain, {}},
        {"qwen2", "Qwen2ForCausalLM", "qwen2", biases, {}},
        {"qwen2-yarn",
         "Qwen2ForCausalLM",
         "qwen2",
         biases,
         {{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}}}}},
        {"qwen3", "Qwen3ForCausalLM", "qwen3", headNorms, {{"tie_word_embeddings", true}}},
        {"gemma", "GemmaForCausalLM", "gemma", gemma, {}},
        {"gemma2",
         "Gemma2ForCausalLM",
         "gemma2",
         gemma2,
         {{"sliding_window", 32},
          {"query_pre_attn_scalar", 16},
          {"attn_logit_softcapping", 2.0},
          {"final_logit_softcapping", 5.0}}},
        {"gemma3",
         "Gemma3ForCausalLM",
         "gemma3",
         gemma3,
         {{"sliding_window", 32}, {"rope_local_base_freq", 500.0}, {"num_hidden_layers", 7}}},
        {"gemma3-pattern",
         "Gemma3ForCausalLM",
         "gemma3",
         gemma3,
         {{"sliding_window", 32},
          {"rope_local_base_freq", 500.0},
          {"num_hidden_layers", 3},
          {"sliding_window_pattern", 3},
          {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}}},
        {"phi3", "Phi3ForCausalLM", "phi3", fused, {{"original_max_position_embeddings", 256}}},
        {"phi3-partial",
         "Phi3ForCausalLM",
         "phi3",
         fused,
         {{"original_max_position_embeddings", 256}, {"partial_rotary_factor", 0.75}}},
        {"phi3-longrope",
         "Phi3ForCausalLM",
         "phi3",
         fused,
         {{"original_max_position_embeddings", 64}, {"rope_scaling", longRope()}, {"sliding_window", 32}}},
    };
}

inline Layout layout(const std::string& row)
{
    for (const Case& c : cases())
        if (c.row == row)
            return c.layout;
    return {};
}

inline void fill(Folder& folder, const std::string& row)
{
    for (const Case& c : cases())
        if (c.row == row)
            fill(folder, c.family, c.layout, c.changes);
}

} // namespace tiny
