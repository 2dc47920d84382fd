#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quern {

// Byte-level vocabularies spell every byte as one printable character: itself if it is printable, else one from U+0100
// on (GPT-2's bytes_to_unicode).
std::string spelled(unsigned char byte);

// The bytes that a text spells; none if one of its characters stands for no byte.
std::optional<std::string> spelledBytes(std::string_view text);

} // namespace quern
