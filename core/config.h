#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// A JSON object that describes a model, e.g. Hugging Face's config.json. Whatever is absent or of another kind than
// asked for is an Error that names the file, the key, what was found and what was expected. Cheap to copy.
class Config {
public:
    static Config read(const std::filesystem::path& file);
    static Config fromJson(std::string_view text, std::string source); // source: file name for messages

    bool has(std::string_view key) const; // there, and not null
    std::int64_t integer(std::string_view key) const;
    std::int64_t positive(std::string_view key) const; // an integer of at least 1
    double number(std::string_view key) const;         // finite
    bool flag(std::string_view key) const;
    std::string text(std::string_view key) const;
    Config object(std::string_view key) const;
    std::vector<std::int64_t> integers(std::string_view key) const; // a list, or one integer alone
    std::vector<double> numbers(std::string_view key) const;
    std::vector<std::string> texts(std::string_view key) const;

    // The same where the key may be absent.
    std::int64_t integer(std::string_view key, std::int64_t absent) const;
    double number(std::string_view key, double absent) const;
    bool flag(std::string_view key, bool absent) const;
    std::string text(std::string_view key, std::string_view absent) const;

    std::vector<std::string> keys() const; // in alphabetical order
    const std::string& source() const { return m_source; }
    // Throws Error: the value of `key` makes no sense, `expected` would. For checks that only the caller can make.
    [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;

private:
    Config(std::shared_ptr<const void> object, std::string source, std::string place);

    std::shared_ptr<const void> m_object; // a JSON object of the library that only config.cpp knows
    std::string m_source;
    std::string m_place; // keys that lead here, each with a dot behind: "rope_scaling."
};

} // namespace quern
