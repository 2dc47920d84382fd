#include "core/naming.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <limits>
#include <unordered_set>
#include <utility>

namespace quern {
namespace {

constexpr std::string_view kLayer = "{}";
constexpr long kLongestVector = 1L << 24; // longer ones stay where they are

// Vectors that were converted, or made.
struct Vectors final : Storage {
    std::deque<std::vector<float>> values;
};

struct Role {
    const TensorRole* role = nullptr; // null: the table has no such tensor
    long layer = -1;
};

// The number that stands for {} in `pattern`, 0 if there is none to stand for; -1 if the name does not match.
long layerOf(std::string_view pattern, std::string_view name)
{
    const auto at = pattern.find(kLayer);
    if (at == std::string_view::npos)
        return pattern == name ? 0 : -1;
    const std::string_view before = pattern.substr(0, at), after = pattern.substr(at + kLayer.size());
    if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
        return -1;
    const std::string_view digits = name.substr(before.size(), name.size() - before.size() - after.size());
    long layer = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    const bool plain = error == std::errc() && end == digits.data() + digits.size() && std::to_string(layer) == digits;
    return plain ? layer : -1;
}

std::string withLayer(std::string_view pattern, long layer)
{
    std::string name(pattern);
    if (const auto at = name.find(kLayer); at != std::string::npos)
        name.replace(at, kLayer.size(), std::to_string(layer));
    return name;
}

// Models that also see wrap the names of the language model.
std::string withoutWrapping(const std::string& name)
{
    for (const std::string_view wrapping : {"language_model.model.", "model.language_model."})
        if (name.starts_with(wrapping))
            return "model." + name.substr(wrapping.size());
    constexpr std::string_view kHead = "language_model.lm_head.";
    return name.starts_with(kHead) ? "lm_head." + name.substr(kHead.size()) : name;
}

bool isVision(std::string_view name)
{
    if (name.starts_with("model."))
        name.remove_prefix(6);
    return name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.");
}

// Buffers that old checkpoints contain and that follow from the configuration.
bool isBuffer(std::string_view name)
{
    return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attention.masked_bias")
        || name.ends_with(".attention.bias");
}

class Naming {
public:
    Naming(Model& model, const Architecture& architecture, const Description& description, bool tied)
        : m_model(model)
        , m_architecture(architecture)
        , m_description(description)
        , m_tied(tied)
        , m_layers(size("block_count"))
    {
    }

    void run()
    {
        std::vector<std::pair<long, Tensor>> ordered;
        for (Tensor& tensor : std::exchange(m_model.tensors, {}))
            if (const std::string name = withoutWrapping(tensor.name); !isDropped(name))
                ordered.emplace_back(named(tensor, name), std::move(tensor));
        std::ranges::stable_sort(ordered, {}, &std::pair<long, Tensor>::first);
        for (const Description::Vector& vector : m_description.vectors)
            m_model.tensors.push_back(made(vector));
        for (auto& [order, tensor] : ordered)
            m_model.tensors.push_back(std::move(tensor));
        checkComplete();
        if (m_vision > 0)
            m_model.warnings.push_back(sentence(
                QUERN_TEXT("core", "%1 tensors of the model's vision part are left out; its language part is opened."),
                m_vision));
        if (!m_vectors->values.empty())
            m_model.storage.push_back(m_vectors);
    }

private:
    long size(std::string_view key) const
    {
        const std::string name = std::string(m_architecture.name) + '.' + std::string(key);
        return static_cast<long>(m_description.metadata.integer(name).value_or(0));
    }

    long size(Size size) const
    {
        const long head = this->size("attention.key_length");
        const long heads = head * this->size("attention.head_count");
        const long kvHeads = head * this->size("attention.head_count_kv");
        switch (size) {
        case Size::None:
            return 0;
        case Size::Vocabulary:
            return m_vocabulary;
        case Size::Embedding:
            return this->size("embedding_length");
        case Size::FeedForward:
            return this->size("feed_forward_length");
        case Size::FeedForwardTwice:
            return 2 * this->size("feed_forward_length");
        case Size::Head:
            return head;
        case Size::Heads:
            return heads;
        case Size::KvHeads:
            return kvHeads;
        case Size::AllHeads:
            return heads + 2 * kvHeads;
        }
        return 0;
    }

    bool isDropped(const std::string& name)
    {
        if (isVision(name)) {
            ++m_vision;
            return true;
        }
        const bool hasOutput = std::ranges::find(m_architecture.tensors, "output.weight", &TensorRole::name)
            != m_architecture.tensors.end();
        return isBuffer(name) || (name == "lm_head.weight" && (m_tied || !hasOutput));
    }

    Role roleOf(const std::string& name) const
    {
        for (const TensorRole& role : m_architecture.tensors)
            if (const long layer = layerOf(role.huggingFace, name); layer >= 0)
                return {&role, layer};
        return {};
    }

    // Renames and converts the tensor; returns its place in the order of the table, layer by layer.
    long named(Tensor& tensor, const std::string& huggingFace)
    {
        const long last = std::numeric_limits<long>::max();
        const auto [role, layer] = roleOf(huggingFace);
        if (!role || layer >= std::max(m_layers, 1L)) {
            hinder(QUERN_TEXT("core",
                              "The model cannot be exported as GGUF: the tensor %1 is none that models of the family "
                              "%2 with %3 layers have."),
                   tensor.name, m_architecture.name, m_layers);
            return last;
        }
        const std::string name = withLayer(role->name, layer);
        if (!m_names.insert(name).second) {
            hinder(QUERN_TEXT("core", "The model cannot be exported as GGUF: the tensor %1 is there twice."),
                   tensor.name);
            return last;
        }
        if (!hasShapeOf(tensor, *role))
            return last; // still under its old name, so that nothing takes it for what it is not
        tensor.name = name;
        change(tensor, *role);
        const long index = role - m_architecture.tensors.data();
        const long count = static_cast<long>(m_architecture.tensors.size());
        const bool inLayer = role->name.find(kLayer) != std::string_view::npos;
        if (inLayer)
            return (layer + 1) * count + index;
        return index == 0 ? 0 : (m_layers + 1) * count + index;
    }

    bool hasShapeOf(const Tensor& tensor, const TensorRole& role)
    {
        if (role.rows == Size::Vocabulary && m_vocabulary == 0 && tensor.shape.size() == 2)
            m_vocabulary = tensor.shape[0];
        std::vector<long> expected {size(role.rows)};
        if (role.cols != Size::None)
            expected.push_back(size(role.cols));
        if (tensor.shape == expected)
            return true;
        hinder(QUERN_TEXT("core",
                          "The model cannot be exported as GGUF: the tensor %1 has the shape %2, but by config.json it "
                          "should be %3."),
               tensor.name, shown(tensor.shape), shown(expected));
        return false;
    }

    static std::string shown(const std::vector<long>& shape)
    {
        std::string text;
        for (const long n : shape)
            text += (text.empty() ? "" : " x ") + std::to_string(n);
        return text;
    }

    void change(Tensor& tensor, const TensorRole& role)
    {
        if (role.change == Change::InterleaveHeads || role.change == Change::InterleaveKvHeads)
            tensor.headRows = size("attention.key_length");
        if (tensor.shape.size() == 1 && tensor.format->floating() && tensor.cols() <= kLongestVector)
            convert(tensor, role.change == Change::AddOne ? 1.0F : 0.0F);
        else if (role.change == Change::AddOne)
            hinder(QUERN_TEXT("core",
                              "The model cannot be exported as GGUF: the norm %1 is stored as %2; a vector of floating "
                              "numbers is expected."),
                   tensor.name, tensor.format->name);
    }

    // To F32, which llama.cpp expects of all vectors, with the values in GGUF's order.
    void convert(Tensor& tensor, float added)
    {
        std::vector<float> stored(static_cast<std::size_t>(tensor.cols()));
        tensor.format->decode(*tensor.format, tensor.bytes.data(), stored);
        std::vector<float>& values = m_vectors->values.emplace_back(stored.size());
        for (long i = 0; i < tensor.cols(); ++i)
            values[static_cast<std::size_t>(i)]
                = stored[static_cast<std::size_t>(storedRow(i, tensor.headRows))] + added;
        tensor.headRows = 0;
        tensor.format = findBlockFormat("F32");
        tensor.bytes = std::as_bytes(std::span(values));
    }

    Tensor made(const Description::Vector& vector)
    {
        m_names.insert(vector.name);
        const std::vector<float>& values = m_vectors->values.emplace_back(vector.values);
        return {.name = vector.name,
                .shape = {static_cast<long>(values.size())},
                .format = findBlockFormat("F32"),
                .bytes = std::as_bytes(std::span(values))};
    }

    void checkComplete()
    {
        for (const TensorRole& role : m_architecture.tensors) {
            if (role.optional || (role.name == "output.weight" && m_tied))
                continue;
            const bool inLayer = role.name.find(kLayer) != std::string_view::npos;
            for (long layer = 0; layer < (inLayer ? m_layers : 1); ++layer)
                if (!m_names.contains(withLayer(role.name, layer)))
                    return hinder(QUERN_TEXT("core",
                                             "The model cannot be exported as GGUF: it lacks the tensor %1. A part of "
                                             "the download may be missing."),
                                  withLayer(role.huggingFace, layer));
        }
    }

    template <typename... Args>
    void hinder(const char* text, const Args&... args)
    {
        if (!m_model.obstacle)
            m_model.obstacle.emplace(text, std::vector<std::string> {toText(args)...});
    }

    Model& m_model;
    const Architecture& m_architecture;
    const Description& m_description;
    const bool m_tied;
    const long m_layers;
    long m_vocabulary = 0; // rows of the embedding, or of the output if that comes first
    long m_vision = 0;
    std::unordered_set<std::string> m_names; // of tensors found, as in GGUF
    std::shared_ptr<Vectors> m_vectors = std::make_shared<Vectors>();
};

} // namespace

void nameTensors(Model& model, const Architecture& architecture, const Description& description, bool tied)
{
    Naming(model, architecture, description, tied).run();
}

} // namespace quern
