#pragma once

#include "core/gguf.h"
#include "tests/core/modelmaker.h"

#include <functional>

// Tiny random models of the families that come from GGUF only: two blocks of width 64, four heads of 16.
namespace tinygguf {

constexpr long kWidth = 64, kFeed = 96, kTokens = 120, kBlocks = 2, kHeads = 4, kKvHeads = 2, kContext = 128;

class Maker {
public:
    explicit Maker(std::string family)
        : m_family(std::move(family))
    {
        m_model.metadata.set("general.architecture", m_family);
        number("block_count", kBlocks);
        number("context_length", kContext);
        number("embedding_length", kWidth);
        number("feed_forward_length", kFeed);
        number("attention.head_count", kHeads);
        number("vocab_size", kTokens);
        m_model.metadata.set("tokenizer.ggml.model", std::string("none"));
        weights("token_embd.weight", {kTokens, kWidth});
    }

    void number(const std::string& key, long value)
    {
        m_model.metadata.set(m_family + '.' + key, static_cast<std::uint32_t>(value));
    }
    void real(const std::string& key, float value) { m_model.metadata.set(m_family + '.' + key, value); }

    void weights(const std::string& name, std::vector<long> shape, float mean = 0)
    {
        std::size_t n = 1;
        for (const long size : shape)
            n *= static_cast<std::size_t>(size);
        std::vector<float> values = modelmaker::normalWeights(n, m_model.tensors.size(), 0.1F);
        for (float& value : values)
            value += mean;
        modelmaker::add(m_model, name, std::move(shape), values);
    }
    void norm(const std::string& name, long size, bool bias = false)
    {
        weights(name + ".weight", {size}, 1);
        if (bias)
            weights(name + ".bias", {size});
    }
    void linear(const std::string& name, long rows, long cols, bool bias = false)
    {
        weights(name + ".weight", {rows, cols});
        if (bias)
            weights(name + ".bias", {rows});
    }

    quern::Model take() { return std::move(m_model); }

private:
    std::string m_family;
    quern::Model m_model;
};

inline quern::Model gpt2()
{
    Maker maker("gpt2");
    maker.real("attention.layer_norm_epsilon", 0.01F);
    maker.weights("position_embd.weight", {kContext, kWidth});
    maker.norm("output_norm", kWidth, true);
    for (long i = 0; i < kBlocks; ++i) {
        const std::string block = "blk." + std::to_string(i) + '.';
        maker.norm(block + "attn_norm", kWidth, true);
        maker.linear(block + "attn_qkv", 3 * kWidth, kWidth, true);
        maker.linear(block + "attn_output", kWidth, kWidth, true);
        maker.norm(block + "ffn_norm", kWidth, true);
        maker.linear(block + "ffn_up", kFeed, kWidth, true);
        maker.linear(block + "ffn_down", kWidth, kFeed, true);
    }
    return maker.take();
}

// What a family of experts has besides llama's tensors.
struct Experts {
    const char* family;
    long count = 5, used = 2, feed = 48;
    long shared = 0; // size of the expert of all tokens
    bool biases = false, headNorms = false;
    bool ownFeed = true; // says how wide an expert is
};

inline void appendBlock(Maker& maker, const std::string& block, const Experts& experts)
{
    constexpr long kHead = kWidth / kHeads;
    maker.norm(block + "attn_norm", kWidth);
    maker.linear(block + "attn_q", kWidth, kWidth, experts.biases);
    maker.linear(block + "attn_k", kKvHeads * kHead, kWidth, experts.biases);
    maker.linear(block + "attn_v", kKvHeads * kHead, kWidth, experts.biases);
    maker.linear(block + "attn_output", kWidth, kWidth);
    if (experts.headNorms) {
        maker.norm(block + "attn_q_norm", kHead);
        maker.norm(block + "attn_k_norm", kHead);
    }
    maker.norm(block + "ffn_norm", kWidth);
    maker.linear(block + "ffn_gate_inp", experts.count, kWidth);
    maker.weights(block + "ffn_gate_exps.weight", {experts.count, experts.feed, kWidth});
    maker.weights(block + "ffn_up_exps.weight", {experts.count, experts.feed, kWidth});
    maker.weights(block + "ffn_down_exps.weight", {experts.count, kWidth, experts.feed});
    if (experts.shared == 0)
        return;
    maker.weights(block + "ffn_gate_inp_shexp.weight", {kWidth});
    maker.linear(block + "ffn_gate_shexp", experts.shared, kWidth);
    maker.linear(block + "ffn_up_shexp", experts.shared, kWidth);
    maker.linear(block + "ffn_down_shexp", kWidth, experts.shared);
}

inline quern::Model withExperts(const Experts& experts)
{
    Maker maker(experts.family);
    maker.number("attention.head_count_kv", kKvHeads);
    maker.number("rope.dimension_count", kWidth / kHeads);
    maker.real("attention.layer_norm_rms_epsilon", 0.01F);
    maker.real("rope.freq_base", 5000);
    maker.number("expert_count", experts.count);
    maker.number("expert_used_count", experts.used);
    if (experts.ownFeed)
        maker.number("expert_feed_forward_length", experts.feed);
    if (experts.shared > 0)
        maker.number("expert_shared_feed_forward_length", experts.shared);
    maker.norm("output_norm", kWidth);
    maker.linear("output", kTokens, kWidth);
    for (long i = 0; i < kBlocks; ++i)
        appendBlock(maker, "blk." + std::to_string(i) + '.', experts);
    return maker.take();
}

struct Case {
    const char* row;
    std::function<quern::Model()> make;
};

inline std::vector<Case> cases()
{
    return {{"gpt2", gpt2},
            {"mixtral", [] { return withExperts({.family = "llama", .feed = kFeed, .ownFeed = false}); }},
            {"qwen2moe", [] { return withExperts({.family = "qwen2moe", .shared = 80, .biases = true}); }},
            {"qwen2moe-width", // of an expert: feed_forward_length over those that are used
             [] { return withExperts({.family = "qwen2moe", .shared = kFeed, .biases = true, .ownFeed = false}); }},
            {"qwen3moe", [] { return withExperts({.family = "qwen3moe", .headNorms = true}); }}};
}

} // namespace tinygguf
