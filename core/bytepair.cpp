#include "core/bytepair.h"

#include "core/bytetext.h"
#include "core/error.h"
#include "core/wordcache.h"

#include <limits>

namespace quern {
namespace {

std::uint64_t pairOf(std::uint32_t left, std::uint32_t right)
{
    return std::uint64_t {left} << 32 | right;
}

const Split& splitOf(const TokenTable& table)
{
    const Split* split = findSplit(table.split);
    if (!split) {
        std::string known;
        for (const Split& s : splits())
            known += (known.empty() ? "" : ", ") + std::string(s.name);
        fail(QUERN_TEXT("core",
                        "The tokenizer splits text the way %1 (tokenizer.ggml.pre), which is not known here. Known "
                        "are %2."),
             table.split, known);
    }
    return *split;
}

} // namespace

BytePairs::BytePairs(const Metadata& metadata, const TokenTable& table)
    : m_table(&table)
    , m_splitter(splitOf(table))
    , m_ignoresMerges(splitOf(table).ignoresMerges)
{
    for (int byte = 0; byte < 256; ++byte)
        symbol({static_cast<char>(byte)});
    const MetaValue* value = metadata.find("tokenizer.ggml.merges");
    const auto* array = value ? std::get_if<MetaArray>(value) : nullptr;
    const auto* merges = array ? std::get_if<std::vector<std::string>>(array) : nullptr;
    if (!merges)
        fail(QUERN_TEXT("core", "The tokenizer has no list of merges (tokenizer.ggml.merges)."));
    if (merges->size() > std::numeric_limits<std::uint32_t>::max())
        fail(QUERN_TEXT("core", "The tokenizer has %1 merges, more than can be numbered."), merges->size());
    for (std::size_t i = 0; m_ignoresMerges && i < table.size(); ++i)
        if (const auto bytes = spelledBytes(table.texts[i]))
            symbol(*bytes);
    readMerges(*merges);
}

std::uint32_t BytePairs::symbol(const std::string& bytes)
{
    const auto [it, isNew] = m_symbols.try_emplace(bytes, static_cast<std::uint32_t>(m_symbols.size()));
    if (isNew) {
        std::string text;
        for (const char byte : bytes)
            text += spelled(static_cast<unsigned char>(byte));
        m_tokens.push_back(m_table->find(text));
        for (std::size_t i = 0; m_tokens.back() < 0 && i < text.size(); ++i)
            if (const int token = m_table->find({&text[i], 1}); token >= 0)
                m_parts[it->second].push_back(token);
    }
    return it->second;
}

void BytePairs::readMerges(const std::vector<std::string>& merges)
{
    m_merges.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const std::string_view merge = merges[rank];
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos)
            fail(QUERN_TEXT("core", "Merge %1 of the tokenizer is %2; two texts with a space between are expected."),
                 rank, merge);
        const auto left = spelledBytes(merge.substr(0, space)), right = spelledBytes(merge.substr(space + 1));
        if (!left || !right || right->empty())
            continue; // never met: text consists of bytes
        const std::uint64_t pair = pairOf(symbol(*left), symbol(*right));
        m_merges.try_emplace(pair, Merged<std::uint32_t> {static_cast<std::uint32_t>(rank), symbol(*left + *right)});
    }
}

void BytePairs::write(std::uint32_t symbol, std::vector<int>& tokens) const
{
    if (m_tokens[symbol] >= 0)
        return tokens.push_back(m_tokens[symbol]);
    if (const auto it = m_parts.find(symbol); it != m_parts.end())
        tokens.insert(tokens.end(), it->second.begin(), it->second.end());
}

void BytePairs::encodeWord(std::string_view word, Merger<std::uint32_t>& merger, std::vector<int>& tokens) const
{
    if (m_ignoresMerges)
        if (const auto it = m_symbols.find(word); it != m_symbols.end() && m_tokens[it->second] >= 0)
            return tokens.push_back(m_tokens[it->second]);
    merger.clear();
    for (const char byte : word)
        merger.add(static_cast<unsigned char>(byte));
    merger.merge([&](std::uint32_t left, std::uint32_t right) -> std::optional<Merged<std::uint32_t>> {
        const auto it = m_merges.find(pairOf(left, right));
        return it == m_merges.end() ? std::nullopt : std::optional(it->second);
    });
    merger.each([&](std::uint32_t symbol) { write(symbol, tokens); });
}

void BytePairs::encode(std::string_view text, std::vector<int>& tokens, const Progress& progress) const
{
    std::vector<std::uint32_t> lengths;
    std::string mended;
    if (!m_splitter.pieces(text, lengths)) {
        mended = repaired(text);
        text = mended;
        m_splitter.pieces(text, lengths);
    }
    Merger<std::uint32_t> merger;
    WordCache cache;
    for (const std::uint32_t length : lengths) {
        progress.check();
        cache.write(text.substr(0, length), tokens, [&](std::string_view word) { encodeWord(word, merger, tokens); });
        text.remove_prefix(length);
    }
}

} // namespace quern
