#include "core/gguf.h"

#include <algorithm>

namespace quern::gguf {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";

const MetaArray* arrayAt(const Metadata& metadata, std::string_view key, std::string_view source)
{
    const MetaValue* value = metadata.find(key);
    if (!value)
        return nullptr;
    const auto* array = std::get_if<MetaArray>(value);
    if (!array)
        fail(QUERN_TEXT("core", "%1: the metadata entry %2 has value type %3; an array is expected there."), source,
             key, value->index());
    return array;
}

std::size_t lengthOf(const MetaArray& array)
{
    return std::visit(
        [](const auto& items) -> std::size_t {
            if constexpr (requires { items.size(); })
                return items.size();
            return 0;
        },
        array);
}

// llama.cpp reads these arrays without looking at their type or length.
template <typename Item>
void checkArray(const Metadata& metadata, std::string_view key, std::string_view source, bool onePerToken)
{
    const MetaArray* array = arrayAt(metadata, key, source);
    if (!array)
        return;
    if (const std::size_t wanted = MetaArray(std::vector<Item> {}).index(); array->index() != wanted)
        fail(QUERN_TEXT("core", "%1: the array %2 has items of value type %3; type %4 is expected there."), source, key,
             array->index(), wanted);
    const MetaArray* tokens = onePerToken ? arrayAt(metadata, kTokens, source) : nullptr;
    if (tokens && lengthOf(*tokens) != lengthOf(*array))
        fail(QUERN_TEXT("core", "%1: the array %2 has %3 items; %4 are expected, one for each token."), source, key,
             lengthOf(*array), lengthOf(*tokens));
}

void checkTokenizer(Model& model, std::string_view source)
{
    const Metadata& metadata = model.metadata;
    checkArray<std::string>(metadata, kTokens, source, false);
    checkArray<std::string>(metadata, "tokenizer.ggml.merges", source, false);
    checkArray<float>(metadata, "tokenizer.ggml.scores", source, true);
    checkArray<std::int32_t>(metadata, "tokenizer.ggml.token_type", source, true);
    const MetaArray* tokens = arrayAt(metadata, kTokens, source);
    if (!tokens)
        return;
    for (const Metadata::Entry& entry : metadata.entries()) {
        const bool isToken = entry.key.starts_with("tokenizer.ggml.") && entry.key.ends_with("_token_id");
        const auto id = isToken ? metadata.integer(entry.key) : std::nullopt;
        constexpr std::int64_t kNone = 0xFFFFFFFF; // what some writers store for "there is none"
        if (id && *id != -1 && *id != kNone && (*id < 0 || *id >= static_cast<std::int64_t>(lengthOf(*tokens))))
            model.warnings.push_back(sentence(QUERN_TEXT("core", "%1 is %2, but the vocabulary has %3 tokens."),
                                              entry.key, *id, lengthOf(*tokens)));
    }
}

void checkLayers(Model& model)
{
    const std::string key = std::string(model.architecture()) + ".block_count";
    const auto said = model.metadata.integer(key);
    if (!said || model.tensors.empty())
        return;
    int layers = 0;
    for (const Tensor& tensor : model.tensors)
        layers = std::max(layers, layerOf(tensor.name) + 1);
    if (*said != layers)
        model.warnings.push_back(
            sentence(QUERN_TEXT("core", "%1 is %2, but the tensors belong to %3 layers. The model may be incomplete."),
                     key, *said, layers));
}

void checkWidth(Model& model)
{
    const std::string key = std::string(model.architecture()) + ".embedding_length";
    const auto said = model.metadata.integer(key);
    const Tensor* embedding = model.find("token_embd.weight");
    if (said && embedding && *said != embedding->cols())
        model.warnings.push_back(
            sentence(QUERN_TEXT("core", "%1 is %2, but the rows of token_embd.weight have %3 weights."), key, *said,
                     embedding->cols()));
}

void checkVocabulary(Model& model, std::string_view source)
{
    const MetaArray* tokens = arrayAt(model.metadata, kTokens, source);
    const Tensor* embedding = model.find("token_embd.weight");
    if (tokens && embedding && static_cast<long>(lengthOf(*tokens)) > embedding->rows())
        model.warnings.push_back(
            sentence(QUERN_TEXT("core", "The vocabulary has %1 tokens, but token_embd.weight has %2 rows."),
                     lengthOf(*tokens), embedding->rows()));
}

} // namespace

void checkMeaning(Model& model, std::string_view source)
{
    const MetaValue* family = model.metadata.find("general.architecture");
    if (family && !std::holds_alternative<std::string>(*family))
        fail(QUERN_TEXT("core", "%1: general.architecture has value type %2; type 8, a text, is expected there."),
             source, family->index());
    checkTokenizer(model, source);
    checkLayers(model);
    checkWidth(model);
    checkVocabulary(model, source);
}

} // namespace quern::gguf
