#include "core/characters.h"

#include "core/charactertable.h"

#include <algorithm>
#include <array>
#include <vector>

namespace quern {
namespace {

constexpr char32_t kCharacters = 0x110000;
constexpr char32_t kReplacement = 0xFFFD;

// Outline bytes by code point, from U+0080 on.
std::vector<char> outlineBytes()
{
    std::vector<char> bytes(kCharacters, outlineByte(CharacterKind::Other));
    for (std::size_t i = 0; i < kCharacterTable.size(); ++i) {
        const std::uint32_t first = kCharacterTable[i] >> 4;
        const std::uint32_t end = i + 1 < kCharacterTable.size() ? kCharacterTable[i + 1] >> 4 : kCharacters;
        const char byte = outlineByte(static_cast<CharacterKind>(kCharacterTable[i] & 15));
        std::fill(bytes.begin() + first, bytes.begin() + end, byte);
    }
    return bytes;
}

std::size_t encodedLength(char32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

template <typename ByteOf>
bool outlineBy(std::string_view text, std::string& bytes, ByteOf byteOf)
{
    bytes.resize(text.size());
    char* to = bytes.data();
    for (std::size_t at = 0; at < text.size();) {
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            *to++ = text[at++];
            continue;
        }
        const Character character = characterAt(text.substr(at));
        if (character.bytes != encodedLength(character.code)) // no character at all, or overlong
            return false;
        *to++ = byteOf(character.code);
        at += character.bytes;
    }
    bytes.resize(static_cast<std::size_t>(to - bytes.data()));
    return true;
}

} // namespace

CharacterKind kindOf(char32_t character)
{
    const auto next = std::ranges::upper_bound(kCharacterTable, character, {}, [](std::uint32_t e) { return e >> 4; });
    const bool known = next != kCharacterTable.begin() && character < kCharacters;
    return known ? static_cast<CharacterKind>(*(next - 1) & 15) : CharacterKind::Other;
}

Character characterAt(std::string_view text)
{
    const auto first = static_cast<unsigned char>(text.front());
    if (first < 0x80)
        return {first, 1};
    const std::size_t bytes = first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 0;
    if (bytes == 0 || text.size() < bytes)
        return {kReplacement, 0};
    char32_t code = first & (0x7FU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte & 0xC0) != 0x80)
            return {kReplacement, 0};
        code = code << 6 | (byte & 0x3FU);
    }
    return code < kCharacters ? Character {code, bytes} : Character {kReplacement, 0};
}

void append(std::string& text, char32_t character)
{
    const std::size_t bytes = encodedLength(character);
    if (bytes == 1) {
        text += static_cast<char>(character);
        return;
    }
    const std::array<unsigned, 5> lead {0, 0, 0xC0, 0xE0, 0xF0};
    text += static_cast<char>(lead[bytes] | character >> 6 * (bytes - 1));
    for (std::size_t i = bytes - 1; i-- > 0;)
        text += static_cast<char>(0x80 | (character >> 6 * i & 0x3F));
}

std::string repaired(std::string_view text)
{
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const Character character = characterAt(text);
        append(result, character.code);
        text.remove_prefix(std::max<std::size_t>(character.bytes, 1));
    }
    return result;
}

bool outline(std::string_view text, std::string& bytes)
{
    static const std::vector<char> byteOf = outlineBytes();
    return outlineBy(text, bytes, [](char32_t code) { return byteOf[code]; });
}

bool outline(std::string_view text, std::span<const CharacterRange> set, std::string& bytes)
{
    return outlineBy(text, bytes, [set](char32_t code) {
        if (kindOf(code) == CharacterKind::Whitespace)
            return outlineByte(CharacterKind::Whitespace);
        const bool inSet
            = std::ranges::any_of(set, [code](const CharacterRange& r) { return r.first <= code && code <= r.last; });
        return inSet ? kInSet : outlineByte(CharacterKind::Other);
    });
}

} // namespace quern
