#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace quern {

constexpr std::uint64_t kLargestConfig = 16 << 20; // bytes of a config.json; real ones have a few thousand
constexpr std::uint64_t kLargestTokenizer = 256
    << 20; // bytes of a tokenizer.json; the largest real ones have 35 million

// The text of a JSON file, for a parser. Throws Error if it cannot be read, is larger than `largest` bytes or nested
// too deeply (checkNesting).
std::string jsonText(const std::filesystem::path& file, std::uint64_t largest);

// Parsers and destructors of JSON go as deep as the text does; no file of a model needs more than a few levels.
// source: file name for messages. Throws Error.
void checkNesting(std::string_view json, std::string_view source);

// Throws Error: source is no valid JSON from byte `byte` on.
[[noreturn]] void failJson(std::string_view source, std::size_t byte);

} // namespace quern
