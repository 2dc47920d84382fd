#include "core/preset.h"

#include <algorithm>
#include <array>
#include <numeric>

// Which type llama.cpp's presets give which tensor: src/llama-quant.cpp of b10470, as one table.
namespace quern {
namespace {

enum class Part { Any, Output, Embedding, Value, Key, Query, AttentionOutput, Up, Gate, Down, Other };

// What a row of the table may ask of a tensor; all bits asked for must be there.
enum Condition : unsigned {
    Always = 0,
    SharedHeads = 1 << 0,       // 4 or more query heads share a key head
    SharedHeadsOrMany = 1 << 1, // that, or 4 or more experts
    EightExperts = 1 << 2,
    NotEightExperts = 1 << 3,
    Weighted = 1 << 4, // there is an importance matrix
    Unweighted = 1 << 5,
    Falcon = 1 << 6,
    NotFalcon = 1 << 7,
    FirstTwo = 1 << 8, // of the tensors of its part, in order of layers; so are the next
    FirstFour = 1 << 9,
    FirstEighth = 1 << 10,
    FirstSixteenth = 1 << 11,
    Middle = 1 << 12,   // all but the first and the last eighth
    MoreBits = 1 << 13, // first eighth, last eighth, and every third in between
    Unfit = 1 << 14,    // rows are no multiple of the block of the preset's main type
    Experts = 1 << 15,  // several matrices in one tensor
};

struct Row {
    Part part;
    unsigned needs;
    std::string_view presets; // names between spaces; "*": all
    std::string_view type;
};

#define QUERN_TINY_XXS " IQ1_S IQ1_M IQ2_XXS IQ2_XS "
#define QUERN_TINY_S " IQ2_S IQ2_M "
constexpr std::string_view kTiny = QUERN_TINY_XXS QUERN_TINY_S;

// The first row that fits decides; none: the preset's main type.
constexpr Row kRows[] {
    {Part::Output, Always, " MXFP4_MOE ", "Q8_0"},
    {Part::Output, Falcon, "*", "Q8_0"},
    {Part::Output, Unfit, "*", "Q8_0"},
    {Part::Output, Always, QUERN_TINY_XXS QUERN_TINY_S " IQ3_XXS ", "Q5_K"},
    {Part::Output, Always, " Q8_0 ", "Q8_0"},
    {Part::Output, Always, "*", "Q6_K"},

    {Part::Any, Experts, " MXFP4_MOE ", "MXFP4"},
    {Part::Any, Always, " MXFP4_MOE ", "Q8_0"},

    {Part::Embedding, Always, QUERN_TINY_XXS, "Q2_K"},
    {Part::Embedding, Always, QUERN_TINY_S " IQ3_XXS ", "IQ3_S"},
    {Part::Embedding, Always, " TQ1_0 TQ2_0 Q2_0 ", "Q4_K"},

    {Part::Value, SharedHeadsOrMany, QUERN_TINY_XXS QUERN_TINY_S, "Q4_K"},
    {Part::Value, Always, QUERN_TINY_S, "IQ3_S"},
    {Part::Value, Always, QUERN_TINY_XXS, "Q2_K"},
    {Part::Value, EightExperts, "*", "Q8_0"},
    {Part::Value, SharedHeads, " Q2_K Q2_K_S IQ3_XXS IQ3_XS IQ3_S ", "Q4_K"},
    {Part::Value, Always, " Q2_K ", "Q3_K"},
    {Part::Value, Unweighted, " IQ3_XXS ", "IQ3_S"},
    {Part::Value, Always, " IQ3_M ", "Q4_K"},
    {Part::Value, FirstTwo, " Q3_K_M ", "Q5_K"},
    {Part::Value, Always, " Q3_K_M ", "Q4_K"},
    {Part::Value, Always, " Q3_K_L ", "Q5_K"},
    {Part::Value, SharedHeads, " IQ4_NL IQ4_XS ", "Q5_K"},
    {Part::Value, MoreBits, " Q4_K_M Q5_K_M ", "Q6_K"},
    {Part::Value, FirstFour, " Q4_K_S ", "Q5_K"},

    {Part::Key, EightExperts, QUERN_TINY_XXS QUERN_TINY_S, "Q4_K"},
    {Part::Key, EightExperts, "*", "Q8_0"},
    {Part::Key, Always, " IQ3_XS ", "IQ3_XXS"},
    {Part::Key, Always, " IQ3_XXS ", "IQ2_S"},

    {Part::Query, Always, " IQ3_XS ", "IQ3_XXS"},
    {Part::Query, Always, " IQ3_XXS ", "IQ2_S"},

    {Part::Down, FirstEighth, QUERN_TINY_S, "IQ3_S"},
    {Part::Down, FirstEighth, QUERN_TINY_XXS, "Q2_K"},
    {Part::Down, Always, " Q2_K ", "Q3_K"},
    {Part::Down, FirstEighth, " Q2_K_S ", "Q4_K"},
    {Part::Down, Unweighted | FirstEighth, " IQ3_XXS ", "Q4_K"},
    {Part::Down, Unweighted, " IQ3_XXS ", "Q3_K"},
    {Part::Down, FirstSixteenth, " Q3_K_M ", "Q5_K"},
    {Part::Down, NotFalcon, " Q3_K_M ", "Q4_K"},
    {Part::Down, MoreBits, " Q3_K_M ", "Q4_K"},
    {Part::Down, FirstEighth, " IQ3_M ", "Q4_K"},
    {Part::Down, EightExperts | MoreBits, " IQ3_M ", "Q4_K"},
    {Part::Down, Falcon, " Q3_K_L ", "Q4_K"},
    {Part::Down, Always, " Q3_K_L ", "Q5_K"},
    {Part::Down, Falcon | FirstSixteenth, " Q4_K_M ", "Q6_K"},
    {Part::Down, Falcon | MoreBits, " Q4_K_M ", "Q5_K"},
    {Part::Down, NotFalcon | MoreBits, " Q4_K_M ", "Q6_K"},
    {Part::Down, Unweighted | FirstEighth, " IQ4_NL IQ4_XS ", "Q5_K"},
    {Part::Down, MoreBits, " Q5_K_M ", "Q6_K"},
    {Part::Down, NotFalcon | FirstEighth, " Q4_K_S ", "Q5_K"},
    {Part::Down, Weighted | FirstEighth, " Q4_0 ", "Q4_1"},
    {Part::Down, Weighted | FirstEighth, " Q5_0 ", "Q5_1"},

    {Part::AttentionOutput, EightExperts, QUERN_TINY_XXS QUERN_TINY_S, "Q5_K"},
    {Part::AttentionOutput, Always, " IQ1_S IQ1_M ", "IQ2_XXS"},
    {Part::AttentionOutput, Always, QUERN_TINY_S, "IQ3_S"},
    {Part::AttentionOutput, Falcon, " Q3_K_L ", "Q4_K"},
    {Part::AttentionOutput, NotFalcon | EightExperts,
     " Q2_K IQ3_XS IQ3_XXS Q3_K_S Q3_K_M IQ4_NL Q4_K_S Q4_K_M IQ3_S IQ3_M IQ4_XS ", "Q5_K"},
    {Part::AttentionOutput, NotFalcon | NotEightExperts, " Q2_K ", "Q3_K"},
    {Part::AttentionOutput, NotFalcon | NotEightExperts, " IQ3_XXS ", "IQ3_S"},
    {Part::AttentionOutput, NotFalcon | NotEightExperts, " Q3_K_M IQ3_M ", "Q4_K"},
    {Part::AttentionOutput, NotFalcon | NotEightExperts, " Q3_K_L ", "Q5_K"},

    {Part::Up, Middle, " IQ3_XS ", "IQ3_XXS"},
    {Part::Gate, Middle, " IQ3_XS ", "IQ3_XXS"},
};
#undef QUERN_TINY_XXS
#undef QUERN_TINY_S

// What a type becomes where it does not divide the row; F16 where that does not either.
constexpr std::pair<std::string_view, std::string_view> kFallbacks[] {
    {"IQ1_S", "IQ4_NL"}, {"IQ1_M", "IQ4_NL"},   {"IQ2_XXS", "IQ4_NL"}, {"IQ2_XS", "IQ4_NL"},
    {"IQ2_S", "IQ4_NL"}, {"IQ3_XXS", "IQ4_NL"}, {"IQ3_S", "IQ4_NL"},   {"IQ4_XS", "IQ4_NL"},
    {"Q2_0", "Q4_0"},    {"Q2_K", "Q4_0"},      {"Q3_K", "Q4_0"},      {"TQ1_0", "Q4_0"},
    {"TQ2_0", "Q4_0"},   {"Q4_K", "Q5_0"},      {"Q5_K", "Q5_1"},      {"Q6_K", "Q8_0"},
};

bool names(std::string_view presets, std::string_view preset)
{
    for (auto at = presets.find(preset); at != std::string_view::npos; at = presets.find(preset, at + 1))
        if (presets[at - 1] == ' ' && presets[at + preset.size()] == ' ')
            return true;
    return false;
}

bool contains(std::string_view name, std::string_view part)
{
    return name.find(part) != std::string_view::npos;
}

Part partOf(std::string_view name)
{
    constexpr std::pair<std::string_view, Part> kParts[] {
        {"attn_qkv.weight", Part::Value},
        {"attn_kv_b.weight", Part::Value},
        {"attn_v.weight", Part::Value},
        {"attn_k.weight", Part::Key},
        {"attn_q.weight", Part::Query},
        {"attn_output.weight", Part::AttentionOutput},
        {"ffn_up", Part::Up},
        {"ffn_gate", Part::Gate},
        {"ffn_down", Part::Down},
    };
    if (name == "output.weight")
        return Part::Output;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
        return Part::Embedding;
    for (const auto& [text, part] : kParts)
        if (contains(name, text))
            return part;
    return Part::Other;
}

const BlockFormat& known(std::string_view name)
{
    if (const BlockFormat* format = findBlockFormat(name))
        return *format;
    fail(QUERN_TEXT("core", "The type %1, which this preset wants, is not known to this program."), name);
}

// The first of a list that may differ by layer, or the number itself.
std::optional<std::int64_t> firstInteger(const Metadata& metadata, const std::string& key)
{
    const MetaValue* value = metadata.find(key);
    const auto* array = value ? std::get_if<MetaArray>(value) : nullptr;
    if (!array)
        return metadata.integer(key);
    return std::visit(
        [](const auto& numbers) -> std::optional<std::int64_t> {
            if constexpr (requires { static_cast<std::int64_t>(numbers[0]); })
                if (!numbers.empty())
                    return static_cast<std::int64_t>(numbers[0]);
            return {};
        },
        *array);
}

struct Family {
    explicit Family(const Model& model)
        : architecture(model.architecture())
        , tied(!model.find("output.weight"))
    {
        const std::string prefix = std::string(architecture) + '.';
        const auto number = [&](const char* key) { return firstInteger(model.metadata, prefix + key); };
        layers = number("block_count").value_or(0);
        experts = number("expert_count").value_or(0);
        heads = number("attention.head_count").value_or(0);
        keyHeads = number("attention.head_count_kv").value_or(heads);
        for (const Tensor& tensor : model.tensors) {
            values += partOf(tensor.name) == Part::Value;
            if (!model.metadata.find(prefix + "block_count"))
                layers = std::max<std::int64_t>(layers, layerOf(tensor.name) + 1);
        }
    }

    std::int64_t headsPerKey() const { return keyHeads > 0 ? heads / keyHeads : 0; }
    // Where few key heads make the value matrices so small that more bits cost nothing.
    bool is70B() const
    {
        return (architecture == "llama" && layers == 80 && heads != keyHeads && experts != 8)
            || ((architecture == "qwen2" || architecture == "deci") && layers == 80)
            || (architecture == "jais2" && layers == 68);
    }

    std::string_view architecture;
    bool tied; // the token embedding serves as output, too
    std::int64_t layers = 0, experts = 0, heads = 0, keyHeads = 0, values = 0;
};

class Mix {
public:
    Mix(const Preset& preset, const Model& model, bool withImportance)
        : m_preset(preset)
        , m_family(model)
        , m_main(known(preset.format))
        , m_tiny(names(kTiny, preset.name))
    {
        const auto when = [](bool is, Condition yes, Condition no) { return static_cast<unsigned>(is ? yes : no); };
        const bool shared = m_family.headsPerKey() >= 4;
        m_common = when(shared, SharedHeads, Always) | when(shared || m_family.experts >= 4, SharedHeadsOrMany, Always)
            | when(m_family.experts == 8, EightExperts, NotEightExperts) | when(withImportance, Weighted, Unweighted)
            | when(m_family.architecture == "falcon", Falcon, NotFalcon);
    }

    // To be called in the order of layers: tensors of a part are counted.
    PresetType next(const Tensor& tensor)
    {
        const BlockFormat* wanted = &m_main;
        if (!m_main.floating())
            wanted = &known(mixed(tensor));
        if (wanted->fits(tensor.cols()))
            return {wanted, nullptr};
        return {&fallback(*wanted, tensor.cols()), wanted};
    }

private:
    std::string_view mixed(const Tensor& tensor)
    {
        Part part = partOf(tensor.name);
        if (part == Part::Embedding && m_family.tied)
            part = Part::Output;
        const unsigned have = m_common | ownConditions(tensor, part);
        std::string_view type = m_preset.format;
        for (const Row& row : kRows) {
            const bool fits = (row.part == part || row.part == Part::Any)
                && (row.presets == "*" || names(row.presets, m_preset.name)) && (row.needs & ~have) == 0;
            if (!fits)
                continue;
            type = row.type;
            break;
        }
        if (part == Part::Value && !m_tiny && m_family.is70B() && (type == "Q3_K" || type == "Q4_K"))
            return "Q5_K";
        return type;
    }

    unsigned ownConditions(const Tensor& tensor, Part part)
    {
        unsigned have = m_main.fits(tensor.cols()) ? Always : Unfit;
        if (tensor.shape.size() > 2 && tensor.shape[tensor.shape.size() - 3] > 1)
            have |= Experts;
        std::int64_t i = m_seen[static_cast<std::size_t>(part)]++;
        if (m_family.experts > 1 && part != Part::Value && !m_tiny)
            i = layerOf(tensor.name);
        return have | positionConditions(i, part == Part::Value ? m_family.values : m_family.layers);
    }

    static unsigned positionConditions(std::int64_t i, std::int64_t n)
    {
        unsigned have = 0;
        const auto add = [&](bool is, unsigned condition) { have |= is ? condition : 0U; };
        add(i < 2, FirstTwo);
        add(i < 4, FirstFour);
        add(i < n / 8, FirstEighth);
        add(i < n / 16, FirstSixteenth);
        add(i >= n / 8 && i < 7 * n / 8, Middle);
        add(i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2, MoreBits);
        return have;
    }

    static const BlockFormat& fallback(const BlockFormat& wanted, long cols)
    {
        for (const auto& [type, instead] : kFallbacks)
            if (type == wanted.name && known(instead).fits(cols))
                return known(instead);
        return known("F16");
    }

    const Preset& m_preset;
    Family m_family;
    const BlockFormat& m_main;
    bool m_tiny;
    unsigned m_common = 0;
    std::array<std::int64_t, 16> m_seen {};
};

// llama.cpp walks through tensors by layer, then by name; those outside the layers come first.
std::vector<std::size_t> walkingOrder(const Model& model)
{
    std::vector<std::size_t> order(model.tensors.size());
    std::iota(order.begin(), order.end(), std::size_t {0});
    std::ranges::sort(order, {}, [&](std::size_t i) {
        const std::string& name = model.tensors[i].name;
        return std::pair<int, std::string_view>(layerOf(name), name);
    });
    return order;
}

} // namespace

std::vector<PresetType> typesOf(const Preset& preset, const Model& model, bool withImportance)
{
    std::vector<PresetType> types(model.tensors.size(), PresetType {nullptr, nullptr});
    if (preset.format.empty())
        return types;
    Mix mix(preset, model, withImportance);
    for (const std::size_t i : walkingOrder(model))
        if (mayQuantize(model.tensors[i]))
            types[i] = mix.next(model.tensors[i]);
    return types;
}

} // namespace quern
