#pragma once

#include <cstddef>
#include <string_view>

namespace quern {

// Length in bytes of the code point that text begins with, 1 to 4; 0 if it begins with none
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) or is empty.
std::size_t utf8Length(std::string_view text);

bool isUtf8(std::string_view text);

} // namespace quern
