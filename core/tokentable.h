#pragma once

#include "core/metadata.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quern {

// What a token is for, as bits: llama.cpp gives some tokens more than one (llama_token_attr).
constexpr std::uint8_t kNormal = 1;
constexpr std::uint8_t kUnknown = 2;
constexpr std::uint8_t kControl = 4;
constexpr std::uint8_t kUserDefined = 8; // found in a text before everything else
constexpr std::uint8_t kByte = 16;
constexpr std::uint8_t kStripLeft = 32; // takes the white space before it along
constexpr std::uint8_t kStripRight = 64;

// The vocabulary of a model (tokenizer.ggml.*) as llama.cpp understands it, defaults and repairs included.
struct TokenTable {
    std::string model; // tokenizer.ggml.model
    std::string split; // tokenizer.ggml.pre; "default" if the file does not say
    std::vector<std::string> texts;
    std::vector<std::uint8_t> uses;
    std::vector<float> scores;                        // no NaN
    std::unordered_map<std::string_view, int> byText; // of `texts`
    std::optional<int> bos, eos, unknown;
    bool addsBos = false;
    bool addsEos = false;
    bool addsSpace = false; // before a text's first word

    TokenTable() = default;
    TokenTable(const TokenTable&) = delete;
    TokenTable& operator=(const TokenTable&) = delete;

    std::size_t size() const { return texts.size(); }
    int find(std::string_view text) const; // -1: no token
    bool has(int token, unsigned use) const { return (uses[static_cast<std::size_t>(token)] & use) != 0; }
};

// Throws Error where the metadata hold no vocabulary, one of a kind not known here, or one that contradicts itself.
void readTokens(const Metadata& metadata, TokenTable& table);

} // namespace quern
