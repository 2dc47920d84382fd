#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quern {

// What the patterns that split text into words tell apart: Unicode's general categories and White_Space.
enum class CharacterKind : std::uint8_t { Other, Letter, Number, Mark, Punctuation, Symbol, Whitespace };

CharacterKind kindOf(char32_t character); // from U+0080 on; Other beyond U+10FFFF

// As tokenizers read text, surrogates and overlong forms included.
struct Character {
    char32_t code;
    std::size_t bytes; // 1 to 4; 0: the text begins with no character
};
Character characterAt(std::string_view text); // text: not empty
void append(std::string& text, char32_t character);

// Overlong forms shortened, U+FFFD in place of each byte that belongs to no character.
std::string repaired(std::string_view text);

struct CharacterRange {
    char32_t first, last;
};

// Text with one byte for each character: ASCII as it is, white space as a vertical tab, others as outlineByte().
// Patterns on it need to know nothing of Unicode. False if the text has to be repaired first.
bool outline(std::string_view text, std::string& bytes);

// The same with kInSet for characters of a set, and the byte of Other for those that are not in it.
bool outline(std::string_view text, std::span<const CharacterRange> set, std::string& bytes);

constexpr char outlineByte(CharacterKind kind)
{
    return kind == CharacterKind::Whitespace ? '\v' : static_cast<char>(0x80 + static_cast<int>(kind));
}
constexpr char kInSet = '\x8F';

} // namespace quern
