#include "core/scorepairs.h"

#include "core/utf8.h"
#include "core/wordcache.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdio>

namespace quern {
namespace {

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

void ScorePairs::encodeWord(std::string_view word, Merger<std::string_view>& merger, std::vector<int>& tokens) const
{
    merger.clear();
    for (std::string_view rest = word; !rest.empty();) {
        const std::string_view character = rest.substr(0, characterLength(rest[0]));
        merger.add(character);
        rest.remove_prefix(character.size());
    }
    merger.merge([&](std::string_view left, std::string_view right) -> std::optional<Merged<std::string_view>> {
        const std::string_view both(left.data(), left.size() + right.size());
        const int token = both.size() > m_longest ? -1 : m_table->find(both);
        return token < 0
            ? std::nullopt
            : std::optional(Merged<std::string_view> {orderOf(m_table->scores[static_cast<std::size_t>(token)]), both});
    });
    merger.each([&](std::string_view piece) {
        if (const int token = m_table->find(piece); token >= 0)
            return tokens.push_back(token);
        for (const char byte : piece)
            tokens.push_back(m_bytes[static_cast<unsigned char>(byte)]);
    });
}

void ScorePairs::encode(std::string_view text, std::vector<int>& tokens, const Progress& progress) const
{
    Merger<std::string_view> merger;
    WordCache cache;
    const bool splits = isUtf8(text); // else the bytes of kSpace may count to a broken character before it
    while (!text.empty()) {
        progress.check();
        std::size_t end = splits ? text.find(kSpace, 1) : std::string_view::npos;
        while (end != std::string_view::npos && m_beforeSpace.test(static_cast<unsigned char>(text[end - 1])))
            end = text.find(kSpace, end + 1);
        const std::string_view word = text.substr(0, end);
        cache.write(word, tokens, [&](std::string_view unknown) { encodeWord(unknown, merger, tokens); });
        text.remove_prefix(word.size());
    }
}

} // namespace quern
