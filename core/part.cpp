#include "core/part.h"

#include <algorithm>
#include <charconv>

namespace quern {
namespace {

constexpr std::size_t kDigits = 5;

std::optional<int> number(std::string_view digits)
{
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = error == std::errc {} && end == digits.data() + digits.size();
    return whole && value > 0 ? std::optional(value) : std::nullopt;
}

std::string padded(int n)
{
    const std::string digits = std::to_string(n);
    return std::string(kDigits - std::min(digits.size(), kDigits), '0') + digits;
}

} // namespace

std::string PartName::file(int i) const
{
    return stem + '-' + padded(i) + "-of-" + padded(count) + suffix;
}

std::optional<PartName> partName(std::string_view file, std::string_view suffix)
{
    constexpr std::string_view kExample = "-00001-of-00001";
    if (!file.ends_with(suffix) || file.size() <= kExample.size() + suffix.size())
        return {};
    file.remove_suffix(suffix.size());
    const std::string_view tail = file.substr(file.size() - kExample.size());
    const auto i = number(tail.substr(1, kDigits)), n = number(tail.substr(10, kDigits));
    if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !i || !n)
        return {};
    return PartName {std::string(file.substr(0, file.size() - kExample.size())), std::string(suffix), *i, *n};
}

Error partAlone(const std::filesystem::path& path)
{
    return Error(QUERN_TEXT("core", "%1 cannot be exported: it is one part of a model."), {path.string()});
}

} // namespace quern
