#pragma once

#include "core/model.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

// Models made in memory for tests.
namespace modelmaker {

class Bytes final : public quern::Storage {
public:
    explicit Bytes(std::size_t n)
        : bytes(n)
    {
    }
    std::vector<std::byte> bytes;
};

// Evenly spread numbers in [-1, 1), the same on every machine.
class Random {
public:
    explicit Random(std::uint64_t seed)
        : m_state(seed * 2654435769U + 1)
    {
    }
    float uniform()
    {
        m_state = m_state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<float>(static_cast<std::int32_t>(m_state >> 32)) * 0x1p-31F;
    }
    float normal() // nearly: the sum of twelve
    {
        float sum = 0;
        for (int i = 0; i < 12; ++i)
            sum += uniform();
        return sum * 0.5F;
    }

private:
    std::uint64_t m_state;
};

// A tensor without weights: for what reads metadata only.
inline quern::Tensor outline(std::string name, std::vector<long> shape, const char* format = "F16")
{
    return {.name = std::move(name), .shape = std::move(shape), .format = quern::findBlockFormat(format), .bytes = {}};
}

// Adds a tensor of these weights to the model.
inline quern::Tensor& add(quern::Model& model, std::string name, std::vector<long> shape,
                          const std::vector<float>& weights, const char* format = "F32")
{
    quern::Tensor tensor = outline(std::move(name), std::move(shape), format);
    const auto rows = static_cast<std::size_t>(tensor.rows()), cols = static_cast<std::size_t>(tensor.cols());
    const auto storage = std::make_shared<Bytes>(rows * tensor.rowBytes());
    for (std::size_t row = 0; row < rows; ++row)
        tensor.format->encode(*tensor.format, std::span(weights).subspan(row * cols, cols), {},
                              storage->bytes.data() + row * tensor.rowBytes());
    tensor.bytes = storage->bytes;
    model.storage.push_back(storage);
    model.tensors.push_back(std::move(tensor));
    return model.tensors.back();
}

inline std::vector<float> normalWeights(std::size_t n, std::uint64_t seed, float scale = 0.02F)
{
    Random random(seed);
    std::vector<float> weights(n);
    for (float& w : weights)
        w = scale * random.normal();
    return weights;
}

struct Shape {
    long layers, width, hidden, keyWidth, vocabulary, heads, keyHeads;
    bool tied = false;
};

// Metadata and outlines of a dense llama.
inline quern::Model llama(const Shape& s)
{
    quern::Model model;
    const auto number
        = [&](const char* key, long value) { model.metadata.set(key, static_cast<std::uint32_t>(value)); };
    model.metadata.set("general.architecture", std::string("llama"));
    number("llama.block_count", s.layers);
    number("llama.attention.head_count", s.heads);
    number("llama.attention.head_count_kv", s.keyHeads);
    auto& tensors = model.tensors;
    tensors.push_back(outline("token_embd.weight", {s.vocabulary, s.width}));
    tensors.push_back(outline("output_norm.weight", {s.width}, "F32"));
    if (!s.tied)
        tensors.push_back(outline("output.weight", {s.vocabulary, s.width}));
    for (long layer = 0; layer < s.layers; ++layer) {
        const auto add = [&](const char* kind, std::vector<long> shape, const char* format = "F16") {
            tensors.push_back(
                outline("blk." + std::to_string(layer) + "." + kind + ".weight", std::move(shape), format));
        };
        add("attn_norm", {s.width}, "F32");
        add("attn_q", {s.width, s.width});
        add("attn_k", {s.keyWidth, s.width});
        add("attn_v", {s.keyWidth, s.width});
        add("attn_output", {s.width, s.width});
        add("ffn_norm", {s.width}, "F32");
        add("ffn_gate", {s.hidden, s.width});
        add("ffn_up", {s.hidden, s.width});
        add("ffn_down", {s.width, s.hidden});
    }
    return model;
}

constexpr Shape kLlama31 {
    .layers = 32, .width = 4096, .hidden = 14336, .keyWidth = 1024, .vocabulary = 128256, .heads = 32, .keyHeads = 8};
constexpr Shape kLlama2 {
    .layers = 32, .width = 4096, .hidden = 11008, .keyWidth = 4096, .vocabulary = 32000, .heads = 32, .keyHeads = 32};

} // namespace modelmaker
