#pragma once

#include <nlohmann/json.hpp>

#include <QTemporaryDir>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

// Hugging Face folders of tiny random models, written as transformers writes them.
namespace tiny {

using Json = nlohmann::ordered_json;

// A tensor as safetensors stores it.
struct Stored {
    std::string name;
    std::vector<long> shape;
    std::string dtype; // "F32", "BF16"
    std::vector<float> values;
};

inline std::uint16_t bf16(float x)
{
    std::uint32_t bits = 0;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline float fromBf16(std::uint16_t half)
{
    const std::uint32_t bits = std::uint32_t {half} << 16;
    float x = 0;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Values that BF16 holds exactly, near `mean`.
inline Stored random(std::string name, std::vector<long> shape, float mean = 0)
{
    std::mt19937 engine(static_cast<unsigned>(std::hash<std::string>()(name)));
    std::normal_distribution<float> normal(mean, 0.1F);
    long count = 1;
    for (const long n : shape)
        count *= n;
    Stored tensor {std::move(name), std::move(shape), "BF16", {}};
    for (long i = 0; i < count; ++i)
        tensor.values.push_back(fromBf16(bf16(normal(engine))));
    return tensor;
}

inline void writeSafetensors(const std::string& path, const std::vector<Stored>& tensors)
{
    Json header = Json::object();
    std::string data;
    for (const Stored& tensor : tensors) {
        const std::size_t begin = data.size();
        for (const float value : tensor.values) {
            const std::uint16_t half = bf16(value);
            data += tensor.dtype == "F32" ? std::string(reinterpret_cast<const char*>(&value), 4)
                                          : std::string(reinterpret_cast<const char*>(&half), 2);
        }
        header[tensor.name]
            = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    std::ofstream(path, std::ios::binary) << std::string(reinterpret_cast<const char*>(&length), 8) << text << data;
}

// GPT-2's character for a byte: itself if it is printable, else one above U+00FF.
inline std::string byteCharacter(int byte)
{
    const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
    int code = byte;
    if (!printable(byte)) {
        code = 256;
        for (int b = 0; b < byte; ++b)
            code += printable(b) ? 0 : 1;
    }
    if (code < 0x80)
        return {static_cast<char>(code)};
    return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

constexpr long kTokens = 262; // of both tokenizers

// 256 bytes, three merges, three special tokens.
inline Json byteLevelTokenizer()
{
    Json vocabulary = Json::object();
    for (int byte = 0; byte < 256; ++byte)
        vocabulary[byteCharacter(byte)] = byte;
    vocabulary["th"] = 256;
    vocabulary["the"] = 257;
    vocabulary["Ġthe"] = 258;
    Json added = Json::array();
    for (const auto& [id, text] : {std::pair(259, "<|endoftext|>"), {260, "<|im_end|>"}, {261, "<tool>"}})
        added.push_back({{"id", id}, {"content", text}, {"special", id == 259}});
    return {{"added_tokens", added},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"post_processor", nullptr},
            {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"t h", "th e", {"Ġ", "the"}}}}}};
}

// <unk> <s> </s>, 256 bytes, two characters and what they merge to.
inline Json byteFallbackTokenizer()
{
    Json vocabulary {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
        vocabulary[text] = byte + 3;
    }
    vocabulary["▁"] = 259;
    vocabulary["a"] = 260;
    vocabulary["▁a"] = 261;
    const auto special = [](int id, const char* text) {
        return Json {{"id", id}, {"content", text}, {"special", true}};
    };
    return {{"added_tokens", {special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")}},
            {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}},
            {"pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}}},
            {"post_processor",
             {{"type", "TemplateProcessing"},
              {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}}},
            {"model",
             {{"type", "BPE"},
              {"unk_token", "<unk>"},
              {"byte_fallback", true},
              {"vocab", vocabulary},
              {"merges", {"▁ a"}}}}};
}

// What makes a class of transformers differ from another, as far as its tensors go.
struct Layout {
    bool biases = false;       // of query, key and value
    bool outputBiases = false; // of the attention's output and the feed forward part
    bool headNorms = false;    // of query and key
    bool fourNorms = false;    // before and after both parts
    bool fused = false;        // query, key and value one tensor, gate and up another
    float normMean = 1;        // 0 for Gemma, which adds 1
};

struct Folder {
    Json config, tokenizer, tokenizerConfig;
    std::vector<Stored> tensors;
    QTemporaryDir directory;

    std::string path() const { return directory.path().toStdString(); }

    void write(const std::string& file, const std::string& text) const
    {
        std::ofstream(path() + '/' + file, std::ios::binary) << text;
    }

    const std::string& written() const
    {
        write("config.json", config.dump());
        if (!tokenizer.is_null())
            write("tokenizer.json", tokenizer.dump());
        if (!tokenizerConfig.is_null())
            write("tokenizer_config.json", tokenizerConfig.dump());
        writeSafetensors(path() + "/model.safetensors", tensors);
        m_path = path();
        return m_path;
    }

    Stored* find(const std::string& name)
    {
        for (Stored& tensor : tensors)
            if (tensor.name == name)
                return &tensor;
        return nullptr;
    }

private:
    mutable std::string m_path;
};

inline void appendLayer(const Json& config, const Layout& layout, const std::string& layer, std::vector<Stored>& out)
{
    const long hidden = config["hidden_size"], feed = config["intermediate_size"], head = config["head_dim"];
    const long rows = head * config["num_attention_heads"].get<long>();
    const long kvRows = head * config["num_key_value_heads"].get<long>();
    const auto norm = [&](const std::string& name, long size) {
        out.push_back(random(layer + name + ".weight", {size}, layout.normMean));
    };
    const auto linear = [&](const std::string& name, long to, long from, bool bias) {
        out.push_back(random(layer + name + ".weight", {to, from}));
        if (bias)
            out.push_back(random(layer + name + ".bias", {to}));
    };
    norm("input_layernorm", hidden);
    norm("post_attention_layernorm", hidden);
    if (layout.fourNorms) {
        norm("pre_feedforward_layernorm", hidden);
        norm("post_feedforward_layernorm", hidden);
    }
    if (layout.headNorms) {
        norm("self_attn.q_norm", head);
        norm("self_attn.k_norm", head);
    }
    if (layout.fused) {
        linear("self_attn.qkv_proj", rows + 2 * kvRows, hidden, false);
        linear("mlp.gate_up_proj", 2 * feed, hidden, false);
    } else {
        linear("self_attn.q_proj", rows, hidden, layout.biases);
        linear("self_attn.k_proj", kvRows, hidden, layout.biases);
        linear("self_attn.v_proj", kvRows, hidden, layout.biases);
        linear("mlp.gate_proj", feed, hidden, layout.outputBiases);
        linear("mlp.up_proj", feed, hidden, layout.outputBiases);
    }
    linear("self_attn.o_proj", hidden, rows, layout.outputBiases);
    linear("mlp.down_proj", hidden, feed, layout.outputBiases);
}

// Two layers of width 64, four heads of 16, two key heads; epsilon and theta other than anyone's defaults, so that they
// count. changes: merged into config.json.
inline void fill(Folder& folder, const char* family, const Layout& layout, const Json& changes)
{
    folder.config = {{"architectures", {family}},
                     {"hidden_size", 64},
                     {"intermediate_size", 96},
                     {"num_hidden_layers", 2},
                     {"num_attention_heads", 4},
                     {"num_key_value_heads", 2},
                     {"head_dim", 16},
                     {"max_position_embeddings", 256},
                     {"rms_norm_eps", 0.01},
                     {"rope_theta", 5000.0},
                     {"vocab_size", kTokens}};
    if (!changes.is_null())
        folder.config.update(changes);
    const long hidden = folder.config["hidden_size"];
    folder.tensors.push_back(random("model.embed_tokens.weight", {kTokens, hidden}));
    for (long layer = 0; layer < folder.config["num_hidden_layers"].get<long>(); ++layer)
        appendLayer(folder.config, layout, "model.layers." + std::to_string(layer) + '.', folder.tensors);
    folder.tensors.push_back(random("model.norm.weight", {hidden}, layout.normMean));
    const bool gemma = layout.normMean == 0;
    if (!gemma && !folder.config.value("tie_word_embeddings", false))
        folder.tensors.push_back(random("lm_head.weight", {kTokens, hidden}));
    folder.tokenizer = gemma ? byteFallbackTokenizer() : byteLevelTokenizer();
    folder.tokenizerConfig = gemma ? Json {{"bos_token", "<s>"}, {"eos_token", "</s>"}}
                                   : Json {{"bos_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}};
}

} // namespace tiny
