#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace quern {

// A value as GGUF types it; index() is the GGUF value type (0 UINT8 ... 12 FLOAT64), in MetaValue and in MetaArray.
using MetaArray = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                               std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using MetaValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, MetaArray, std::uint64_t, std::int64_t, double>;

// What a model says of itself, under GGUF's keys ("llama.block_count"), in file order, each key once.
class Metadata {
public:
    struct Entry {
        std::string key;
        MetaValue value;
    };

    const std::vector<Entry>& entries() const { return m_entries; }
    const MetaValue* find(std::string_view key) const; // null if absent
    void set(std::string key, MetaValue value);        // in place if the key is there, else at the end
    void remove(std::string_view key);

    // Empty if absent or of another kind.
    std::optional<std::string_view> text(std::string_view key) const;
    std::optional<std::int64_t> integer(std::string_view key) const; // any integer type, bool excluded, that fits
    std::optional<double> number(std::string_view key) const;        // any integer or floating type

private:
    std::vector<Entry> m_entries;
    std::unordered_map<std::string, std::size_t> m_index;
};

} // namespace quern
