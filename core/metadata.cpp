#include "core/metadata.h"

#include <limits>
#include <type_traits>

namespace quern {

const MetaValue* Metadata::find(std::string_view key) const
{
    const auto it = m_index.find(std::string(key));
    return it == m_index.end() ? nullptr : &m_entries[it->second].value;
}

void Metadata::set(std::string key, MetaValue value)
{
    const auto [it, isNew] = m_index.try_emplace(key, m_entries.size());
    if (isNew)
        m_entries.push_back({std::move(key), std::move(value)});
    else
        m_entries[it->second].value = std::move(value);
}

void Metadata::remove(std::string_view key)
{
    const auto it = m_index.find(std::string(key));
    if (it == m_index.end())
        return;
    const std::size_t removed = it->second;
    m_entries.erase(m_entries.begin() + static_cast<std::ptrdiff_t>(removed));
    m_index.erase(it);
    for (auto& [name, index] : m_index)
        if (index > removed)
            --index;
}

std::optional<std::string_view> Metadata::text(std::string_view key) const
{
    const MetaValue* value = find(key);
    const auto* text = value ? std::get_if<std::string>(value) : nullptr;
    return text ? std::optional<std::string_view>(*text) : std::nullopt;
}

std::optional<std::int64_t> Metadata::integer(std::string_view key) const
{
    const MetaValue* value = find(key);
    if (!value)
        return {};
    return std::visit(
        [](const auto& v) -> std::optional<std::int64_t> {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
                if (std::is_same_v<
                        T, std::uint64_t> && static_cast<std::uint64_t>(v) > std::numeric_limits<std::int64_t>::max())
                    return {};
                return static_cast<std::int64_t>(v);
            }
            return {};
        },
        *value);
}

std::optional<double> Metadata::number(std::string_view key) const
{
    const MetaValue* value = find(key);
    if (!value)
        return {};
    return std::visit(
        [](const auto& v) -> std::optional<double> {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
                return static_cast<double>(v);
            return {};
        },
        *value);
}

} // namespace quern
