#include "core/vocabulary.h"

#include "core/error.h"
#include "core/pretokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

namespace quern {
namespace {

constexpr std::size_t kMostTokens = std::size_t {1} << 24;
constexpr float kPaddingScore = -10000, kAddedScore = -1000; // as llama.cpp's converter has them
constexpr std::string_view kSpaceMark = "▁";

std::string replaced(std::string text, std::string_view from, std::string_view to)
{
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

// "<0x0A>" stands for a byte.
bool isByte(std::string_view text)
{
    return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

// Tokens that some models forgot to mark as special.
bool looksSpecial(std::string_view text)
{
    constexpr std::array<std::string_view, 4> kNames {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    return std::ranges::find(kNames, text) != kNames.end() || (text.starts_with("<|") && text.ends_with("|>"))
        || (text.starts_with("<｜") && text.ends_with("｜>")) || (text.starts_with("<unused") && text.ends_with('>'));
}

// A vocabulary being filled by token number.
class Slots {
public:
    Slots(std::string_view model, std::size_t rows)
        : m_taken(rows)
    {
        if (rows > kMostTokens)
            fail(QUERN_TEXT("core", "The embedding has %1 rows; a vocabulary of more than %2 tokens is not supported."),
                 rows, kMostTokens);
        vocabulary.model = model;
        vocabulary.tokens.resize(rows);
        vocabulary.types.assign(rows, TokenType::Unused);
        if (model == "llama")
            vocabulary.scores.assign(rows, kPaddingScore);
    }

    // Each number once.
    void put(std::int64_t id, const std::string& text, TokenType type, float score)
    {
        if (!inside(id, text))
            return;
        const auto i = static_cast<std::size_t>(id);
        if (m_taken[i])
            fail(QUERN_TEXT("core", "The tokenizer gives the number %1 to two tokens, \"%2\" and \"%3\"."), id,
                 vocabulary.tokens[i], text);
        set(i, text, type, score);
    }

    // Added tokens may name those of the vocabulary again, to mark them.
    void add(const AddedToken& token)
    {
        if (!inside(token.id, token.text))
            return;
        const auto i = static_cast<std::size_t>(token.id);
        const bool control = token.special || looksSpecial(token.text);
        const bool known = m_taken[i] && vocabulary.tokens[i] == token.text;
        if (known && vocabulary.types[i] == TokenType::Unknown)
            return;
        const float score = known && !vocabulary.scores.empty() ? vocabulary.scores[i] : kAddedScore;
        set(i, control ? token.text : replaced(token.text, kSpaceMark, " "),
            control ? TokenType::Control : TokenType::UserDefined, score);
    }

    Vocabulary finished(std::vector<std::string>& warnings)
    {
        if (m_beyond > 0)
            warnings.push_back(sentence(
                QUERN_TEXT("core",
                           "The tokenizer has %1 tokens beyond the embedding's %2 rows, the first being \"%3\". "
                           "The model cannot have learned them; they are left out."),
                m_beyond, m_taken.size(), m_firstBeyond));
        for (std::size_t i = 0; i < m_taken.size(); ++i)
            if (!m_taken[i])
                vocabulary.tokens[i] = "[PAD" + std::to_string(i) + "]";
        std::unordered_map<std::string_view, std::size_t> numbers;
        for (std::size_t i = 0; i < m_taken.size(); ++i)
            if (const auto [it, isNew] = numbers.emplace(vocabulary.tokens[i], i); !isNew)
                fail(QUERN_TEXT("core",
                                "The tokenizer has the token \"%1\" twice, under the numbers %2 and %3; llama.cpp "
                                "refuses such a vocabulary."),
                     vocabulary.tokens[i], it->second, i);
        return std::move(vocabulary);
    }

    Vocabulary vocabulary;

private:
    bool inside(std::int64_t id, const std::string& text)
    {
        if (id < 0)
            fail(QUERN_TEXT("core", "The tokenizer gives the token \"%1\" the number %2; they begin at 0."), text, id);
        if (static_cast<std::uint64_t>(id) < m_taken.size())
            return true;
        if (m_beyond++ == 0)
            m_firstBeyond = text;
        return false;
    }

    void set(std::size_t i, std::string text, TokenType type, float score)
    {
        m_taken[i] = true;
        vocabulary.tokens[i] = std::move(text);
        vocabulary.types[i] = type;
        if (!vocabulary.scores.empty())
            vocabulary.scores[i] = score;
    }

    std::vector<bool> m_taken;
    std::size_t m_beyond = 0;
    std::string m_firstBeyond;
};

// GGUF separates the sides by a space; a space within a side is written as byte-level tokenizers write it.
std::vector<std::string> joinedMerges(const TokenizerFile& file)
{
    std::unordered_set<std::string_view> known;
    known.reserve(file.vocabulary.size());
    for (const auto& [text, id] : file.vocabulary)
        known.insert(text);
    std::vector<std::string> merges;
    merges.reserve(file.merges.size());
    for (const auto& [left, right] : file.merges) {
        const std::string whole = left + right;
        for (const std::string_view token : {std::string_view(left), std::string_view(right), std::string_view(whole)})
            if (!known.contains(token))
                fail(QUERN_TEXT("core",
                                "Merge %1 of the tokenizer is \"%2\" and \"%3\", but \"%4\" is no token of its "
                                "vocabulary."),
                     merges.size(), left, right, token);
        merges.push_back(replaced(left, " ", "Ġ") + ' ' + replaced(right, " ", "Ġ"));
    }
    return merges;
}

// The score of what a merge makes is the lower the later the merge. A tokenizer.json without merges lists tokens in the
// order of their frequency.
std::vector<float> scores(const TokenizerFile& file)
{
    std::unordered_map<std::string, float> byText;
    for (const auto& [left, right] : file.merges)
        byText.emplace(left + right, -static_cast<float>(byText.size()));
    std::vector<float> scores;
    for (const auto& [text, id] : file.vocabulary) {
        const auto it = byText.find(text);
        scores.push_back(it != byText.end()        ? it->second
                             : file.merges.empty() ? -static_cast<float>(id)
                                                   : -static_cast<float>(byText.size()) - 1);
    }
    return scores;
}

// Whether both number the plain tokens alike: then the scores of tokenizer.model hold for tokenizer.json. Others may
// differ: Gemma writes the byte <0x09> as a tab, and added tokens take the place of unused ones.
bool agree(const TokenizerFile& file, const SentencePieces& pieces)
{
    std::unordered_set<std::int64_t> added;
    for (const AddedToken& token : file.added)
        added.insert(token.id);
    return std::ranges::all_of(file.vocabulary, [&](const auto& token) {
        const auto& [text, id] = token;
        if (id < 0 || static_cast<std::uint64_t>(id) >= pieces.pieces.size() || added.contains(id))
            return true;
        const SentencePieces::Piece& piece = pieces.pieces[static_cast<std::size_t>(id)];
        return piece.text == text || piece.type != TokenType::Normal;
    });
}

void putFile(const TokenizerFile& file, Slots& slots)
{
    const std::vector<float> byRank = scores(file);
    for (std::size_t i = 0; i < file.vocabulary.size(); ++i) {
        const auto& [text, id] = file.vocabulary[i];
        const bool byte = file.byteFallback && isByte(text);
        const bool unknown = !file.unknown.empty() && text == file.unknown;
        slots.put(id, text,
                  byte          ? TokenType::Byte
                      : unknown ? TokenType::Unknown
                                : TokenType::Normal,
                  byte || unknown ? 0.0F : byRank[i]);
    }
}

} // namespace

Vocabulary byteLevelVocabulary(const TokenizerFile& file, std::size_t rows, std::vector<std::string>& warnings)
{
    if (!file.affixes.empty())
        fail(QUERN_TEXT("core",
                        "The tokenizer marks the insides or ends of words (\"%1\"); llama.cpp has no tokenizer that "
                        "does."),
             file.affixes);
    Slots slots("gpt2", rows);
    for (const auto& [text, id] : file.vocabulary)
        slots.put(id, text, TokenType::Normal, 0);
    for (const AddedToken& token : file.added)
        slots.add(token);
    slots.vocabulary.merges = joinedMerges(file);
    slots.vocabulary.pre = preTokenizerName(file);
    if (slots.vocabulary.pre.empty()) {
        slots.vocabulary.pre = "default";
        warnings.emplace_back(
            QUERN_TEXT("core",
                       "tokenizer.json splits text in a way that is not known here. llama.cpp will use its default "
                       "instead (tokenizer.ggml.pre), so that some texts may become other tokens than the model has "
                       "learned."));
    }
    return slots.finished(warnings);
}

Vocabulary sentencePieceVocabulary(const TokenizerFile* file, const SentencePieces* pieces,
                                   const std::vector<AddedToken>& added, std::size_t rows,
                                   std::vector<std::string>& warnings)
{
    Slots slots("llama", rows);
    slots.vocabulary.pre = "default";
    if (file && pieces && !agree(*file, *pieces)) {
        warnings.emplace_back(QUERN_TEXT(
            "core",
            "tokenizer.model and tokenizer.json number their tokens differently. tokenizer.json is used, with "
            "scores by the order of its merges."));
        pieces = nullptr;
    }
    if (pieces) {
        for (std::size_t i = 0; i < pieces->pieces.size(); ++i) {
            const auto& [text, score, type] = pieces->pieces[i];
            slots.put(static_cast<std::int64_t>(i), text, type, score);
        }
        if (file)
            for (const auto& [text, id] : file->vocabulary)
                if (id >= static_cast<std::int64_t>(pieces->pieces.size()))
                    slots.put(id, text, TokenType::Normal, kAddedScore);
    } else {
        putFile(*file, slots);
    }
    if (file)
        for (const AddedToken& token : file->added)
            slots.add(token);
    for (const AddedToken& token : added)
        slots.add(token);
    return slots.finished(warnings);
}

} // namespace quern
