#include "core/error.h"

#include "core/utf8.h"

#include <charconv>

namespace quern {
namespace {

std::string filledIn(std::string text, const std::vector<std::string>& args)
{
    for (std::size_t i = args.size(); i-- > 0;) { // backwards, so that %1 does not match within %10
        const std::string mark = "%" + std::to_string(i + 1);
        if (const auto at = text.find(mark); at != std::string::npos)
            text.replace(at, mark.size(), args[i]);
    }
    return text;
}

} // namespace

Error::Error(const char* text, std::vector<std::string> args)
    : std::runtime_error(filledIn(text, args))
    , m_text(text)
    , m_args(std::move(args))
{
}

std::string toText(std::string_view value)
{
    constexpr std::size_t kLongest = 400;
    std::string shown;
    for (std::size_t i = 0; i < value.size() && shown.size() < kLongest;) {
        const std::size_t length = utf8Length(value.substr(i));
        if (length > 0 && static_cast<unsigned char>(value[i]) >= 0x20 && value[i] != 0x7F) {
            shown += value.substr(i, length);
            i += length;
        } else {
            constexpr char kHex[] = "0123456789abcdef";
            const auto byte = static_cast<unsigned char>(value[i++]);
            shown += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return shown.size() < kLongest ? shown : shown + "...";
}

std::string toText(double value)
{
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
    return {text, end};
}

} // namespace quern
