#include "core/bytetext.h"

#include "core/characters.h"

#include <array>

namespace quern {
namespace {

constexpr bool printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> kCharacterOf = [] {
    std::array<char32_t, 256> characters {};
    char32_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte)
        characters[byte] = printable(byte) ? byte : next++;
    return characters;
}();

constexpr std::size_t kCharacters = 256 + 68; // one more than the last in use

constexpr std::array<int, kCharacters> kByteOf = [] {
    std::array<int, kCharacters> bytes {};
    bytes.fill(-1);
    for (unsigned byte = 0; byte < 256; ++byte)
        bytes[kCharacterOf[byte]] = static_cast<int>(byte);
    return bytes;
}();

} // namespace

std::string spelled(unsigned char byte)
{
    std::string text;
    append(text, kCharacterOf[byte]);
    return text;
}

std::optional<std::string> spelledBytes(std::string_view text)
{
    std::string bytes;
    while (!text.empty()) {
        const auto [code, length] = characterAt(text);
        if (length == 0 || code >= kCharacters || kByteOf[code] < 0)
            return {};
        bytes += static_cast<char>(kByteOf[code]);
        text.remove_prefix(length);
    }
    return bytes;
}

} // namespace quern
