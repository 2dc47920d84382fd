#include "core/scorepairs.h"

#include "core/utf8.h"
#include "core/wordcache.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdio>

namespace quern {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t {0};

// By its first byte alone; bytes that begin no character count as one.
std::size_t characterLength(char first)
{
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Smaller for a higher score.
std::uint32_t orderOf(float score)
{
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F); // no negative zero
    constexpr std::uint32_t kSign = 0x80000000;
    return (bits & kSign) != 0 ? bits : ~(bits | kSign);
}

int byteToken(const TokenTable& table, int byte)
{
    std::array<char, 8> text {};
    std::snprintf(text.data(), text.size(), "<0x%02X>", static_cast<unsigned>(byte));
    const char itself = static_cast<char>(byte);
    int token = table.find(text.data());
    if (token < 0)
        token = table.find({&itself, 1});
    assert(table.unknown); // the first token if none is named
    return token < 0 ? *table.unknown : token;
}

} // namespace

// The pieces of a word while they merge.
class ScorePairs::Word {
public:
    explicit Word(const ScorePairs& pairs)
        : m_pairs(pairs)
    {
    }

    void merge(std::string_view text)
    {
        m_pieces.clear();
        m_queue.clear();
        m_text = text;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t size = std::min(characterLength(text[at]), text.size() - at);
            const auto i = static_cast<std::uint32_t>(m_pieces.size());
            m_pieces.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(size),
                                i == 0 ? kNone : i - 1, at + size == text.size() ? kNone : i + 1});
            at += size;
        }
        for (std::uint32_t i = 0; i + 1 < m_pieces.size(); ++i)
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
        for (std::uint32_t i = 0; i != kNone; i = m_pieces[i].next)
            visit(m_text.substr(m_pieces[i].begin, m_pieces[i].size));
    }

private:
    struct Piece {
        std::uint32_t begin, size; // 0: merged into the one before
        std::uint32_t previous, next;
    };
    struct Candidate {
        std::uint64_t order; // score, then place: the first of equals merges first
        std::uint32_t size;  // of both together
        bool operator>(const Candidate& other) const { return order > other.order; }
        std::uint32_t left() const { return static_cast<std::uint32_t>(order); }
    };

    void consider(std::uint32_t left)
    {
        const Piece& piece = m_pieces[left];
        if (piece.next == kNone)
            return;
        const std::uint32_t size = piece.size + m_pieces[piece.next].size;
        if (size > m_pairs.m_longest)
            return;
        const int token = m_pairs.m_table->find(m_text.substr(piece.begin, size));
        if (token < 0)
            return;
        const float score = m_pairs.m_table->scores[static_cast<std::size_t>(token)];
        m_queue.push_back({std::uint64_t {orderOf(score)} << 32 | left, size});
        std::ranges::push_heap(m_queue, std::greater());
    }

    void join(const Candidate& candidate)
    {
        Piece& left = m_pieces[candidate.left()];
        const std::uint32_t next = left.next;
        if (left.size == 0 || next == kNone || left.size + m_pieces[next].size != candidate.size)
            return; // one of the two has merged with another meanwhile
        left.size = candidate.size;
        left.next = m_pieces[next].next;
        m_pieces[next].size = 0;
        if (left.next != kNone)
            m_pieces[left.next].previous = candidate.left();
        if (left.previous != kNone)
            consider(left.previous);
        consider(candidate.left());
    }

    const ScorePairs& m_pairs;
    std::string_view m_text;
    std::vector<Piece> m_pieces;
    std::vector<Candidate> m_queue;
};

ScorePairs::ScorePairs(const TokenTable& table)
    : m_table(&table)
{
    for (int byte = 0; byte < 256; ++byte)
        m_bytes[static_cast<std::size_t>(byte)] = byteToken(table, byte);
    for (const std::string& text : table.texts) {
        m_longest = std::max(m_longest, text.size());
        for (std::size_t at = text.find(kSpace, 1); at != std::string::npos; at = text.find(kSpace, at + 1))
            m_beforeSpace.set(static_cast<unsigned char>(text[at - 1]));
    }
}

void ScorePairs::encodeWord(std::string_view word, Word& scratch, std::vector<int>& tokens) const
{
    scratch.merge(word);
    scratch.each([&](std::string_view piece) {
        if (const int token = m_table->find(piece); token >= 0)
            return tokens.push_back(token);
        for (const char byte : piece)
            tokens.push_back(m_bytes[static_cast<unsigned char>(byte)]);
    });
}

void ScorePairs::encode(std::string_view text, std::vector<int>& tokens, const Progress& progress) const
{
    Word scratch(*this);
    WordCache cache;
    std::size_t done = 0;
    constexpr std::size_t kBetweenChecks = 1 << 16;
    const bool splits = isUtf8(text); // else the bytes of kSpace may count to a broken character before it
    while (!text.empty()) {
        std::size_t end = splits ? text.find(kSpace, 1) : std::string_view::npos;
        while (end != std::string_view::npos && m_beforeSpace.test(static_cast<unsigned char>(text[end - 1])))
            end = text.find(kSpace, end + 1);
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(word.size());
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
