#include "core/bytepair.h"

#include "core/bytetext.h"
#include "core/error.h"
#include "core/wordcache.h"

#include <algorithm>

namespace quern {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t {0};

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

// The symbols of a word while they merge.
class BytePairs::Word {
public:
    explicit Word(const BytePairs& pairs)
        : m_pairs(pairs)
    {
    }

    // Leaves what the bytes merge to in symbols().
    void merge(std::string_view bytes)
    {
        m_symbols.clear();
        m_queue.clear();
        const auto count = static_cast<std::uint32_t>(bytes.size());
        for (std::uint32_t i = 0; i < count; ++i)
            m_symbols.push_back(
                {static_cast<unsigned char>(bytes[i]), i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1});
        for (std::uint32_t i = 0; i + 1 < count; ++i)
            consider(i);
        while (!m_queue.empty()) {
            std::ranges::pop_heap(m_queue, std::greater());
            const Candidate best = m_queue.back();
            m_queue.pop_back();
            join(best);
        }
    }

    template <typename Visit>
    void each(Visit visit) const
    {
        for (std::uint32_t i = 0; i != kNone; i = m_symbols[i].next)
            visit(m_symbols[i].symbol);
    }

private:
    struct Symbol {
        std::uint32_t symbol; // kNone: merged into the one before
        std::uint32_t previous, next;
    };
    struct Candidate {
        std::uint64_t order; // rank, then place: the first of equals merges first
        std::uint64_t pair;
        bool operator>(const Candidate& other) const { return order > other.order; }
        std::uint32_t left() const { return static_cast<std::uint32_t>(order); }
    };

    void consider(std::uint32_t left)
    {
        const Symbol& a = m_symbols[left];
        if (a.next == kNone)
            return;
        const std::uint64_t pair = pairOf(a.symbol, m_symbols[a.next].symbol);
        if (const auto it = m_pairs.m_merges.find(pair); it != m_pairs.m_merges.end()) {
            m_queue.push_back({pairOf(it->second.rank, left), pair});
            std::ranges::push_heap(m_queue, std::greater());
        }
    }

    void join(const Candidate& candidate)
    {
        Symbol& left = m_symbols[candidate.left()];
        const std::uint32_t next = left.next;
        if (next == kNone || pairOf(left.symbol, m_symbols[next].symbol) != candidate.pair)
            return; // one of the two has merged with another meanwhile
        left.symbol = m_pairs.m_merges.find(candidate.pair)->second.result;
        left.next = m_symbols[next].next;
        m_symbols[next].symbol = kNone;
        if (left.next != kNone)
            m_symbols[left.next].previous = candidate.left();
        if (left.previous != kNone)
            consider(left.previous);
        consider(candidate.left());
    }

    const BytePairs& m_pairs;
    std::vector<Symbol> m_symbols;
    std::vector<Candidate> m_queue;
};

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
    if (merges->size() >= kNone)
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
        m_merges.try_emplace(pair, Merge {static_cast<std::uint32_t>(rank), symbol(*left + *right)});
    }
}

void BytePairs::write(std::uint32_t symbol, std::vector<int>& tokens) const
{
    if (m_tokens[symbol] >= 0)
        return tokens.push_back(m_tokens[symbol]);
    if (const auto it = m_parts.find(symbol); it != m_parts.end())
        tokens.insert(tokens.end(), it->second.begin(), it->second.end());
}

void BytePairs::encodeWord(std::string_view word, Word& scratch, std::vector<int>& tokens) const
{
    if (m_ignoresMerges)
        if (const auto it = m_symbols.find(word); it != m_symbols.end() && m_tokens[it->second] >= 0)
            return tokens.push_back(m_tokens[it->second]);
    scratch.merge(word);
    scratch.each([&](std::uint32_t symbol) { write(symbol, tokens); });
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
    Word scratch(*this);
    WordCache cache;
    std::size_t done = 0;
    constexpr std::size_t kBetweenChecks = 1 << 16;
    for (const std::uint32_t length : lengths) {
        const std::string_view word = text.substr(0, length);
        text.remove_prefix(length);
        if (!cache.append(word, tokens)) {
            const std::size_t before = tokens.size();
            encodeWord(word, scratch, tokens);
            cache.add(word, std::span(tokens).subspan(before));
        }
        if (++done % kBetweenChecks == 0)
            progress.check();
    }
}

} // namespace quern
