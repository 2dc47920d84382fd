#pragma once

#include "tests/core/tinymodel.h"

#include <Eigen/Core>

#include <cmath>
#include <functional>
#include <numbers>

// The forward pass of the families as transformers 4.5x defines it (modeling_llama.py and its siblings), in doubles, on
// Hugging Face's own tensors. It shares nothing with the program but the test.
namespace reference {

using tiny::Json;
using Matrix = Eigen::MatrixXd; // tokens x features

struct Rope {
    std::vector<double> frequencies; // radians per position, one for each pair of dimensions
    double scale = 1;                // of cosine and sine
};

class Transformer {
public:
    Transformer(const tiny::Folder& folder, const tiny::Layout& layout)
        : m_folder(folder)
        , m_config(folder.config)
        , m_layout(layout)
        , m_family(folder.config["architectures"][0])
        , m_gemma(layout.normMean == 0)
        , m_head(folder.config["head_dim"])
    {
    }

    // Called with the inputs of every linear layer, tokens x features, if it is set.
    std::function<void(const std::string& layer, const Matrix& x)> seen;

    // Of every token: tokens x vocabulary.
    Matrix logits(const std::vector<int>& tokens) const
    {
        const Matrix embedding = weight("model.embed_tokens");
        Matrix x(static_cast<long>(tokens.size()), embedding.cols());
        for (long t = 0; t < x.rows(); ++t)
            x.row(t) = embedding.row(tokens[static_cast<std::size_t>(t)]);
        if (m_gemma)
            x *= std::sqrt(static_cast<double>(x.cols()));
        for (int layer = 0; layer < m_config["num_hidden_layers"].get<int>(); ++layer)
            x = block(x, layer);
        x = normed(x, "model.norm");
        const bool tied = m_gemma || m_config.value("tie_word_embeddings", false);
        Matrix logits = x * (tied ? embedding : weight("lm_head")).transpose();
        return m_family == "Gemma2ForCausalLM" ? capped(logits, m_config["final_logit_softcapping"]) : logits;
    }

private:
    Matrix weight(const std::string& name) const
    {
        for (const tiny::Stored& tensor : m_folder.tensors)
            if (tensor.name == name + ".weight") {
                const long cols = tensor.shape.back();
                const Eigen::Map<const Eigen::Matrix<float, -1, -1, Eigen::RowMajor>> w(
                    tensor.values.data(), static_cast<long>(tensor.values.size()) / cols, cols);
                return w.cast<double>();
            }
        throw std::runtime_error(name);
    }

    Matrix linear(const Matrix& x, const std::string& name) const
    {
        if (seen)
            seen(name, x);
        Matrix y = x * weight(name).transpose();
        for (const tiny::Stored& tensor : m_folder.tensors)
            if (tensor.name == name + ".bias")
                for (long c = 0; c < y.cols(); ++c)
                    y.col(c).array() += static_cast<double>(tensor.values[static_cast<std::size_t>(c)]);
        return y;
    }

    Matrix normed(const Matrix& x, const std::string& name) const
    {
        const Eigen::RowVectorXd w = weight(name).array() + (m_gemma ? 1.0 : 0.0);
        Matrix y = x;
        for (long t = 0; t < x.rows(); ++t)
            y.row(t) /= std::sqrt(x.row(t).squaredNorm() / static_cast<double>(x.cols())
                                  + m_config["rms_norm_eps"].get<double>());
        return y * w.asDiagonal();
    }

    static Matrix capped(const Matrix& x, double cap) { return (x.array() / cap).tanh() * cap; }

    Matrix block(const Matrix& x, int layer) const
    {
        const std::string name = "model.layers." + std::to_string(layer) + '.';
        Matrix attended = attention(normed(x, name + "input_layernorm"), name + "self_attn.", layer);
        if (m_layout.fourNorms)
            attended = normed(attended, name + "post_attention_layernorm");
        const Matrix y = x + attended;
        const char* before = m_layout.fourNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
        Matrix fed = feedForward(normed(y, name + before), name + "mlp.");
        if (m_layout.fourNorms)
            fed = normed(fed, name + "post_feedforward_layernorm");
        return y + fed;
    }

    Matrix feedForward(const Matrix& x, const std::string& name) const
    {
        Matrix gate, up;
        if (m_layout.fused) {
            const Matrix both = linear(x, name + "gate_up_proj");
            gate = both.leftCols(both.cols() / 2);
            up = both.rightCols(both.cols() / 2);
        } else {
            gate = linear(x, name + "gate_proj");
            up = linear(x, name + "up_proj");
        }
        const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
        const auto gelu = [](double v) {
            return 0.5 * v * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v)));
        };
        const Matrix active = m_gemma ? Matrix(gate.unaryExpr(gelu)) : Matrix(gate.unaryExpr(silu));
        return linear(active.cwiseProduct(up), name + "down_proj");
    }

    // Whether the layer sees a window of tokens only.
    bool isLocal(int layer) const
    {
        if (m_family == "Gemma2ForCausalLM")
            return layer % 2 == 0;
        return m_family == "Gemma3ForCausalLM" && (layer + 1) % m_config.value("sliding_window_pattern", 6) != 0;
    }

    Matrix attention(const Matrix& x, const std::string& name, int layer) const
    {
        const long heads = m_config["num_attention_heads"], kvHeads = m_config["num_key_value_heads"];
        Matrix q, k, v;
        if (m_layout.fused) {
            const Matrix all = linear(x, name + "qkv_proj");
            q = all.leftCols(heads * m_head);
            k = all.middleCols(heads * m_head, kvHeads * m_head);
            v = all.rightCols(kvHeads * m_head);
        } else {
            q = linear(x, name + "q_proj");
            k = linear(x, name + "k_proj");
            v = linear(x, name + "v_proj");
        }
        const Rope rope = this->rope(layer);
        Matrix out(x.rows(), heads * m_head);
        for (long h = 0; h < heads; ++h) {
            const long kv = h / (heads / kvHeads);
            const Matrix query = rotated(head(q, h, name + "q_norm"), rope);
            const Matrix key = rotated(head(k, kv, name + "k_norm"), rope);
            out.middleCols(h * m_head, m_head)
                = weights(query * key.transpose(), layer) * v.middleCols(kv * m_head, m_head);
        }
        return linear(out, name + "o_proj");
    }

    Matrix head(const Matrix& x, long h, const std::string& norm) const
    {
        const Matrix part = x.middleCols(h * m_head, m_head);
        return m_layout.headNorms ? normed(part, norm) : part;
    }

    // The second half of the dimensions turns against the first (rotate_half).
    static Matrix rotated(const Matrix& x, const Rope& rope)
    {
        const auto half = static_cast<long>(rope.frequencies.size());
        Matrix y = x;
        for (long t = 0; t < x.rows(); ++t)
            for (long i = 0; i < half; ++i) {
                const double angle = static_cast<double>(t) * rope.frequencies[static_cast<std::size_t>(i)];
                const double c = std::cos(angle) * rope.scale, s = std::sin(angle) * rope.scale;
                y(t, i) = x(t, i) * c - x(t, i + half) * s;
                y(t, i + half) = x(t, i + half) * c + x(t, i) * s;
            }
        return y;
    }

    Matrix weights(Matrix scores, int layer) const
    {
        scores /= std::sqrt(m_config.value("query_pre_attn_scalar", static_cast<double>(m_head)));
        if (m_family == "Gemma2ForCausalLM")
            scores = capped(scores, m_config["attn_logit_softcapping"]);
        const long window = isLocal(layer) ? m_config["sliding_window"].get<long>() : scores.rows();
        for (long t = 0; t < scores.rows(); ++t) {
            for (long s = 0; s < scores.cols(); ++s)
                scores(t, s) = s <= t && t - s < window ? std::exp(scores(t, s)) : 0;
            scores.row(t) /= scores.row(t).sum();
        }
        return scores;
    }

    // modeling_rope_utils.py.
    Rope rope(int layer) const
    {
        const bool local = m_family == "Gemma3ForCausalLM" && isLocal(layer);
        const double base = m_config[local ? "rope_local_base_freq" : "rope_theta"];
        const auto dimensions
            = static_cast<int>(m_config.value("partial_rotary_factor", 1.0) * static_cast<double>(m_head));
        Rope rope;
        for (int i = 0; i < dimensions; i += 2)
            rope.frequencies.push_back(std::pow(base, -static_cast<double>(i) / dimensions));
        if (m_config.contains("rope_scaling") && !local)
            scale(rope, m_config["rope_scaling"], base, dimensions);
        return rope;
    }

    void scale(Rope& rope, const Json& by, double base, int dimensions) const
    {
        const std::string type = by.contains("type") ? by["type"] : by["rope_type"];
        const double factor = by.value("factor", 1.0);
        const double original
            = by.value("original_max_position_embeddings", m_config.value("original_max_position_embeddings", 0.0));
        // The dimension that turns `turns` times within the original context.
        const auto dimension = [&](double turns) {
            return dimensions * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
        };
        for (std::size_t i = 0; i < rope.frequencies.size(); ++i) {
            double& frequency = rope.frequencies[i];
            if (type == "linear") {
                frequency /= factor;
            } else if (type == "llama3") {
                const double wave = 2 * std::numbers::pi / frequency, low = by["low_freq_factor"],
                             high = by["high_freq_factor"];
                const double smooth = std::clamp((original / wave - low) / (high - low), 0.0, 1.0);
                frequency = (1 - smooth) * frequency / factor + smooth * frequency;
            } else if (type == "yarn") {
                const double low = std::max(std::floor(dimension(32)), 0.0), high = std::ceil(dimension(1));
                const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
                frequency = frequency / factor * ramp + frequency * (1 - ramp);
            } else if (type == "longrope") {
                frequency /= by["long_factor"][i].get<double>();
            }
        }
        if (type == "yarn")
            rope.scale = 0.1 * std::log(factor) + 1;
        if (type == "longrope")
            rope.scale = std::sqrt(
                1 + std::log(m_config["max_position_embeddings"].get<double>() / original) / std::log(original));
    }

    const tiny::Folder& m_folder;
    const Json& m_config;
    tiny::Layout m_layout;
    std::string m_family;
    bool m_gemma;
    long m_head;
};

} // namespace reference
