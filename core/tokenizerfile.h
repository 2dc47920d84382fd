#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quern {

// One stage of text preparation. type: as in the file; "Split Removed" and so on for splits that do more than to make
// each match a piece of its own. detail: the pattern of "Split"; "pattern" for a "ByteLevel" that splits like GPT-2;
// "individual" for "Digits" that splits them all; the text of "Prepend" and "Replace"; the scheme of "Metaspace".
struct TokenizerStep {
    std::string type;
    std::string detail;

    friend bool operator==(const TokenizerStep&, const TokenizerStep&) = default;
};

struct AddedToken {
    std::int64_t id = 0;
    std::string text;
    bool special = false;
};

// What a tokenizer.json says (huggingface.co/docs/tokenizers). Types are checked; numbers of tokens are as found.
struct TokenizerFile {
    std::string model; // "BPE", "Unigram", ...; the vocabulary is read of "BPE" only
    bool byteFallback = false;
    bool ignoreMerges = false;
    std::string affixes; // continuing_subword_prefix and end_of_word_suffix: GGUF has no place for them
    std::string unknown; // text of the token for what cannot be written
    std::vector<std::pair<std::string, std::int64_t>> vocabulary; // text, number
    std::vector<std::pair<std::string, std::string>> merges;      // first rank first
    std::vector<AddedToken> added;
    std::vector<TokenizerStep> normalizer; // sequences flattened
    std::vector<TokenizerStep> preTokenizer;
    std::string first, last; // special tokens that TemplateProcessing puts around a text; empty: none
    bool hasTemplate = false;
};

// What tokenizer_config.json and the files beside it say.
struct TokenizerConfig {
    std::map<std::string, std::string, std::less<>> special; // "bos" -> "<s>"
    std::map<std::string, bool, std::less<>> adds;           // "bos" -> add_bos_token
    std::optional<bool> addPrefixSpace;
    std::vector<AddedToken> added;                                  // added_tokens_decoder
    std::vector<std::pair<std::string, std::string>> chatTemplates; // name ("default" first if there), Jinja text
};

// Throw Error naming file and place where something is missing, malformed or of the wrong type.
TokenizerFile readTokenizerFile(const std::filesystem::path& path);
TokenizerConfig readTokenizerConfig(const std::filesystem::path& folder);   // empty where the files are absent
std::vector<AddedToken> readAddedTokens(const std::filesystem::path& path); // added_tokens.json

} // namespace quern
