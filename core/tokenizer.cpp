#include "core/tokenizer.h"

#include "core/bytepair.h"
#include "core/bytetext.h"
#include "core/error.h"
#include "core/scorepairs.h"
#include "core/specialtokens.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace quern {
namespace {

constexpr unsigned kHidden = kControl | kUnknown;

std::string replaced(std::string_view text, std::string_view what, std::string_view with)
{
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
        result += text.substr(0, at);
        result += with;
        text.remove_prefix(at + what.size());
    }
    return result += text;
}

// What a token of a SentencePiece vocabulary stands for: "<0x0A>", if it is a byte.
std::string byteOf(std::string_view text)
{
    unsigned byte = 0;
    constexpr std::size_t kSize = 6;
    if (text.size() != kSize || !text.starts_with("<0x")
        || std::from_chars(text.data() + 3, text.data() + 5, byte, 16).ptr != text.data() + 5)
        return std::string(text);
    return {static_cast<char>(byte)};
}

std::string pieceOf(const TokenTable& table, int token, bool byteLevel)
{
    const std::string& text = table.texts[static_cast<std::size_t>(token)];
    if (table.has(token, kHidden | kUserDefined))
        return text;
    if (table.has(token, kByte))
        return byteOf(text);
    if (!table.has(token, kNormal))
        return {};
    if (!byteLevel)
        return replaced(text, ScorePairs::kSpace, " ");
    return spelledBytes(text).value_or(text);
}

} // namespace

struct Tokenizer::Parts {
    explicit Parts(const Metadata& metadata)
    {
        readTokens(metadata, table);
        const bool byteLevel = table.model == "gpt2";
        if (byteLevel)
            bytes.emplace(metadata, table);
        else
            scores.emplace(table);
        for (std::size_t i = 0; i < table.size(); ++i)
            pieces.push_back(pieceOf(table, static_cast<int>(i), byteLevel));
        all.emplace(table, kHidden | kUserDefined, 0);
        userDefined.emplace(table, kUserDefined, kHidden);
    }

    void encode(std::string_view text, bool afterToken, std::vector<int>& tokens, const Progress& progress) const
    {
        if (bytes)
            return bytes->encode(text, tokens, progress);
        const std::string spaced = (table.addsSpace && afterToken ? " " : "") + std::string(text);
        scores->encode(replaced(spaced, " ", ScorePairs::kSpace), tokens, progress);
    }

    TokenTable table;
    std::vector<std::string> pieces; // what tokens stand for
    std::optional<SpecialTokens> all, userDefined;
    std::optional<BytePairs> bytes; // one of the two
    std::optional<ScorePairs> scores;
};

Tokenizer::Tokenizer(std::shared_ptr<const Parts> parts)
    : m_parts(std::move(parts))
{
}

std::vector<int> Tokenizer::encode(std::string_view text, bool addSpecial, bool parseSpecial) const
{
    return encode(text, addSpecial, parseSpecial, NoProgress());
}

std::vector<int> Tokenizer::encode(std::string_view text, bool addSpecial, bool parseSpecial,
                                   const Progress& progress) const
{
    if (text.size() >= static_cast<std::size_t>(std::numeric_limits<int>::max()))
        fail(QUERN_TEXT("core", "The text has %1 bytes; at most 2 GiB can be tokenized at once."), text.size());
    const TokenTable& table = m_parts->table;
    std::vector<int> tokens;
    if (addSpecial && table.addsBos)
        tokens.push_back(*table.bos);
    bool afterToken = true;
    for (const SpecialTokens::Part& part : (parseSpecial ? m_parts->all : m_parts->userDefined)->parts(text)) {
        if (part.token >= 0)
            tokens.push_back(part.token);
        else
            m_parts->encode(text.substr(part.begin, part.size), afterToken, tokens, progress);
        afterToken = part.token >= 0;
    }
    if (addSpecial && table.addsEos)
        tokens.push_back(*table.eos);
    return tokens;
}

std::string Tokenizer::decode(std::span<const int> tokens, bool special) const
{
    std::string text;
    bool afterToken = true;
    for (const int token : tokens) {
        std::string_view said = piece(token);
        const bool marks = m_parts->table.has(token, kHidden | kUserDefined);
        if (m_parts->table.addsSpace && afterToken && !marks && said.starts_with(' '))
            said.remove_prefix(1);
        if (special || !isControl(token))
            text += said;
        afterToken = marks;
    }
    return text;
}

std::string_view Tokenizer::piece(int token) const
{
    if (token < 0 || static_cast<std::size_t>(token) >= vocabularySize())
        fail(QUERN_TEXT("core", "There is no token %1; the vocabulary has %2."), token, vocabularySize());
    return m_parts->pieces[static_cast<std::size_t>(token)];
}

std::size_t Tokenizer::vocabularySize() const
{
    return m_parts->table.size();
}

std::string_view Tokenizer::model() const
{
    return m_parts->table.model;
}

std::string_view Tokenizer::split() const
{
    return m_parts->table.split;
}

std::optional<int> Tokenizer::bos() const
{
    return m_parts->table.bos;
}

std::optional<int> Tokenizer::eos() const
{
    return m_parts->table.eos;
}

std::optional<int> Tokenizer::unknown() const
{
    return m_parts->table.unknown;
}

bool Tokenizer::addsBos() const
{
    return m_parts->table.addsBos;
}

bool Tokenizer::addsEos() const
{
    return m_parts->table.addsEos;
}

bool Tokenizer::isControl(int token) const
{
    return m_parts->table.has(token, kHidden);
}

Tokenizer tokenizerOf(const Metadata& metadata)
{
    return Tokenizer(std::make_shared<const Tokenizer::Parts>(metadata));
}

Tokenizer tokenizerOf(const Model& model)
{
    return tokenizerOf(model.metadata);
}

} // namespace quern
