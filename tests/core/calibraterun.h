#pragma once

#include "core/calibrate.h"
#include "tests/core/forwardrun.h"
#include "tests/core/tinygguf.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>

// What tests of calibrate share.
namespace calibraterun {

using namespace quern;
namespace fs = std::filesystem;

// Hears what is going on, and stops the work when told to.
class Watcher final : public Progress {
public:
    explicit Watcher(std::string stopAt = {})
        : m_stopAt(std::move(stopAt))
    {
    }
    void report(double fraction, std::string_view step) override
    {
        const std::scoped_lock lock(m_mutex);
        ascends &= fraction >= last && fraction <= 1;
        last = std::max(last, fraction);
        if (steps.empty() || steps.back() != step)
            steps.emplace_back(step);
        if (!m_stopAt.empty() && step == m_stopAt)
            m_cancelled = true;
    }
    bool cancelled() const override { return m_cancelled; }

    std::vector<std::string> steps;
    double last = 0;
    bool ascends = true;

private:
    std::mutex m_mutex;
    std::string m_stopAt;
    std::atomic<bool> m_cancelled = false;
};

inline Chunks chunks(long count, long context, long vocabulary)
{
    return {context, forwardrun::someTokens(static_cast<std::size_t>(count * context), vocabulary)};
}

inline std::vector<char> contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// A llama of six blocks.
inline Model sixBlocks()
{
    tinygguf::Maker maker("llama");
    maker.number("block_count", 6);
    maker.number("attention.head_count_kv", tinygguf::kKvHeads);
    maker.number("rope.dimension_count", tinygguf::kWidth / tinygguf::kHeads);
    maker.real("attention.layer_norm_rms_epsilon", 0.01F);
    maker.norm("output_norm", tinygguf::kWidth);
    maker.linear("output", tinygguf::kTokens, tinygguf::kWidth);
    for (int i = 0; i < 6; ++i) {
        const std::string block = "blk." + std::to_string(i) + '.';
        maker.norm(block + "attn_norm", tinygguf::kWidth);
        maker.linear(block + "attn_q", tinygguf::kWidth, tinygguf::kWidth);
        maker.linear(block + "attn_k", tinygguf::kWidth / 2, tinygguf::kWidth);
        maker.linear(block + "attn_v", tinygguf::kWidth / 2, tinygguf::kWidth);
        maker.linear(block + "attn_output", tinygguf::kWidth, tinygguf::kWidth);
        maker.norm(block + "ffn_norm", tinygguf::kWidth);
        maker.linear(block + "ffn_gate", tinygguf::kFeed, tinygguf::kWidth);
        maker.linear(block + "ffn_up", tinygguf::kFeed, tinygguf::kWidth);
        maker.linear(block + "ffn_down", tinygguf::kWidth, tinygguf::kFeed);
    }
    return maker.take();
}

} // namespace calibraterun
