#include "core/tokentable.h"

#include "core/error.h"
#include "core/sentencepiece.h"
#include "core/splits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace quern {
namespace {

// Tokens that only ever end a text or a turn. Files often list them as plain text, which they never are.
constexpr auto kEnds = std::to_array<std::string_view>({"<|eot_id|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<|calls|>",
                                                        "<|flush|>",
                                                        "<end_of_turn>",
                                                        "<|endoftext|>",
                                                        "</s>",
                                                        "<|eom_id|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "[EOS]",
                                                        "<|end_of_text|>",
                                                        "<eos>",
                                                        "<end_of_utterance>",
                                                        "<turn|>",
                                                        "<|tool_response>",
                                                        "<｜end▁of▁sentence｜>",
                                                        "[e~["});

// Tokens of code models, found by their text unless the file names them.
struct CodeToken {
    std::array<std::string_view, 2> keys;
    std::array<std::string_view, 8> texts;
};
constexpr auto kCodeTokens = std::to_array<CodeToken>({
    {{"fim_pre", "prefix"},
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
      "<|prefix|>"}},
    {{"fim_suf", "suffix"},
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
      "<|suffix|>"}},
    {{"fim_mid", "middle"},
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>"}},
    {{"fim_pad"}, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {{"fim_rep"}, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {{"fim_sep"}, {"<|file_sep|>"}},
});

// Marks of the harmony format, which are to be shown.
constexpr auto kShown = std::to_array<std::string_view>({"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"});

// The array at a key, null if absent. Throws Error if it is anything else.
template <typename Item>
const std::vector<Item>* arrayAt(const Metadata& metadata, const char* key)
{
    const MetaValue* value = metadata.find(key);
    if (!value)
        return nullptr;
    const auto* array = std::get_if<MetaArray>(value);
    const auto* items = array ? std::get_if<std::vector<Item>>(array) : nullptr;
    if (!items)
        fail(QUERN_TEXT("core", "The tokenizer's entry %1 is no array of the type that belongs there."), key);
    return items;
}

template <typename Item>
const std::vector<Item>* arrayOfTokens(const Metadata& metadata, const char* key, std::size_t tokens)
{
    const auto* items = arrayAt<Item>(metadata, key);
    if (items && items->size() < tokens)
        fail(QUERN_TEXT("core", "The tokenizer's entry %1 has %2 items for %3 tokens."), key, items->size(), tokens);
    return items;
}

void readTexts(const Metadata& metadata, TokenTable& table)
{
    const auto* texts = arrayAt<std::string>(metadata, "tokenizer.ggml.tokens");
    if (!texts || texts->empty())
        fail(QUERN_TEXT("core", "The model has no tokens (tokenizer.ggml.tokens), so it cannot read text."));
    if (texts->size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        fail(QUERN_TEXT("core", "The model has %1 tokens, more than can be numbered."), texts->size());
    table.texts = *texts;
    table.byText.reserve(texts->size());
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (table.texts[i].empty())
            table.texts[i] = "[EMPTY_" + std::to_string(i) + ']';
        const auto [it, isNew] = table.byText.try_emplace(table.texts[i], static_cast<int>(i));
        if (!isNew)
            fail(QUERN_TEXT("core", "Tokens %1 and %2 of the vocabulary are the same text, %3."), it->second, i,
                 table.texts[i]);
    }
}

std::uint8_t useOf(std::int32_t type)
{
    switch (static_cast<TokenType>(type)) {
    case TokenType::Normal:
        return kNormal;
    case TokenType::Unknown:
        return kUnknown;
    case TokenType::Control:
        return kControl;
    case TokenType::UserDefined:
        return kUserDefined;
    case TokenType::Byte:
        return kByte;
    case TokenType::Unused:
        break;
    }
    return 0;
}

void readUses(const Metadata& metadata, TokenTable& table)
{
    table.uses.assign(table.size(), kNormal);
    const auto* types = arrayOfTokens<std::int32_t>(metadata, "tokenizer.ggml.token_type", table.size());
    for (std::size_t i = 0; types && i < table.size(); ++i)
        table.uses[i] = useOf((*types)[i]);
    table.scores.assign(table.size(), 0);
    const auto* scores = arrayOfTokens<float>(metadata, "tokenizer.ggml.scores", table.size());
    for (std::size_t i = 0; scores && i < table.size(); ++i) {
        table.scores[i] = (*scores)[i];
        if (std::isnan(table.scores[i]))
            fail(QUERN_TEXT("core", "The score of token %1 (%2) is no number."), i, table.texts[i]);
    }
}

// The token that the file names, or the usual one; none if neither is in the vocabulary.
std::optional<int> namedToken(const Metadata& metadata, std::string_view name, std::optional<int> usual,
                              const TokenTable& table)
{
    const auto known = [&](std::optional<std::int64_t> id) {
        return id && *id >= 0 && *id < static_cast<std::int64_t>(table.size());
    };
    const auto id = metadata.integer("tokenizer.ggml." + std::string(name) + "_token_id");
    if (known(id))
        return static_cast<int>(*id);
    return known(usual) ? usual : std::nullopt;
}

bool flag(const Metadata& metadata, const char* key, bool otherwise)
{
    const MetaValue* value = metadata.find(key);
    const bool* found = value ? std::get_if<bool>(value) : nullptr;
    if (value && !found)
        fail(QUERN_TEXT("core", "The tokenizer's entry %1 is neither true nor false."), key);
    return found ? *found : otherwise;
}

void add(TokenTable& table, std::string_view text, std::uint8_t use)
{
    if (const int token = table.find(text); token >= 0)
        table.uses[static_cast<std::size_t>(token)] |= use;
}

void replace(TokenTable& table, std::string_view text, std::uint8_t use)
{
    if (const int token = table.find(text); token >= 0)
        table.uses[static_cast<std::size_t>(token)] = use;
}

bool hasAny(const TokenTable& table, std::initializer_list<std::string_view> texts)
{
    return std::ranges::any_of(texts, [&](std::string_view text) { return table.find(text) >= 0; });
}

// What llama.cpp knows better than the file, in its order.
void repairUses(const Metadata& metadata, TokenTable& table)
{
    for (const CodeToken& code : kCodeTokens) {
        const bool named = std::ranges::any_of(
            code.keys, [&](std::string_view key) { return !key.empty() && namedToken(metadata, key, {}, table); });
        const auto text
            = std::ranges::find_if(code.texts, [&](std::string_view t) { return !t.empty() && table.find(t) >= 0; });
        if (!named && text != code.texts.end())
            add(table, *text, kControl);
    }
    for (const std::string_view text : kEnds)
        add(table, text, kControl);
    for (const std::string_view text : kShown)
        replace(table, text, kUserDefined);
    const bool calls = hasAny(table, {"<|call|>", "<|calls|>"});
    if (calls && hasAny(table, {"<|return|>", "<|flush|>"}))
        replace(table, "<|end|>", kUserDefined); // ends a message there, no turn
    if (table.find("<|tool_response>") >= 0)
        replace(table, "</s>", kNormal);
}

// Marks that swallow the white space beside them. GGUF does not say so; llama.cpp goes by names, too.
void readStrips(const Metadata& metadata, TokenTable& table)
{
    std::string name(metadata.text("general.name").value_or(""));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos)
        return;
    for (std::size_t i = 0; i < table.size(); ++i) {
        const std::string& text = table.texts[i];
        if (table.has(static_cast<int>(i), kControl | kUserDefined | kUnknown) && text != "<unk>" && text != "<s>"
            && text != "<|endoftext|>")
            table.uses[i] |= kStripRight;
    }
}

void checkAdded(bool adds, const std::optional<int>& token, const char* key)
{
    if (adds && !token)
        fail(QUERN_TEXT("core", "The tokenizer wants a token around each text (%1), but none is named."), key);
}

} // namespace

int TokenTable::find(std::string_view text) const
{
    const auto it = byText.find(text);
    return it == byText.end() ? -1 : it->second;
}

void readTokens(const Metadata& metadata, TokenTable& table)
{
    const auto model = metadata.text("tokenizer.ggml.model");
    if (!model)
        fail(QUERN_TEXT("core", "The model brings no tokenizer along (tokenizer.ggml.model), so it cannot read text."));
    const bool pieces = *model == "llama";
    if (!pieces && *model != "gpt2")
        fail(QUERN_TEXT("core",
                        "The model's tokenizer is of the kind %1. Known are gpt2 (byte-level byte-pair encoding) and "
                        "llama (SentencePiece)."),
             *model);
    table.model = *model;
    table.split = metadata.text("tokenizer.ggml.pre").value_or("default");
    if (table.split.empty())
        table.split = "default";
    readTexts(metadata, table);
    readUses(metadata, table);
    const Split* split = pieces ? nullptr : findSplit(table.split);
    constexpr int kFirstOfGpt2 = 11; // where llama.cpp looks if the file names none
    table.bos = namedToken(metadata, "bos", pieces ? 1 : kFirstOfGpt2, table);
    table.eos = namedToken(metadata, "eos", pieces ? 2 : kFirstOfGpt2, table);
    table.unknown = namedToken(metadata, "unknown", pieces ? std::optional(0) : std::nullopt, table);
    table.addsSpace = flag(metadata, "tokenizer.ggml.add_space_prefix", pieces) && pieces;
    table.addsBos = flag(metadata, "tokenizer.ggml.add_bos_token", pieces || (split && split->addsBos));
    table.addsEos = flag(metadata, "tokenizer.ggml.add_eos_token", false);
    checkAdded(table.addsBos, table.bos, "tokenizer.ggml.add_bos_token");
    checkAdded(table.addsEos, table.eos, "tokenizer.ggml.add_eos_token");
    repairUses(metadata, table);
    readStrips(metadata, table);
}

} // namespace quern
