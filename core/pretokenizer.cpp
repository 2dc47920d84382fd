#include "core/pretokenizer.h"

#include <algorithm>
#include <array>
#include <span>

namespace quern {
namespace {

// The patterns as tokenizer.json files write them: "\r" is a backslash and a letter but in DeepSeek's, where it is the
// character.
constexpr std::string_view kLlama3
    = R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kQwen2
    = R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kTekken
    = R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kGpt4o
    = R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr std::string_view kSeedCoder
    = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|"
      "\\s+(?!\\S)|\\s+";
constexpr std::string_view kDeepSeek3
    = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
      "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kDeepSeekHan = "[一-龥ࠀ-一가-퟿]+";

struct Step {
    std::string_view type, detail;
    bool goesOn = false; // the detail begins so
};

struct PreTokenizer {
    std::string_view name;
    bool ignoreMerges; // llama.cpp looks whole words up before it merges
    std::span<const Step> steps;
};

constexpr Step kBytes {"ByteLevel", ""}, kBytesSplit {"ByteLevel", "pattern"}, kDigits {"Digits", "individual"};
constexpr std::array kGpt2Steps {kBytesSplit};
constexpr std::array kSmolSteps {kDigits, kBytesSplit};
constexpr std::array kLlama3Steps {Step {"Split", kLlama3}, kBytes};
constexpr std::array kQwen2Steps {Step {"Split", kQwen2}, kBytes};
constexpr std::array kTekkenSteps {Step {"Split", kTekken}, kBytes};
constexpr std::array kGpt4oSteps {Step {"Split", kGpt4o}, kBytes};
constexpr std::array kSeedCoderSteps {Step {"Split", kSeedCoder}, kBytes};
constexpr std::array kDeepSeek3Steps {Step {"Split", "\\p{N}{1,3}"}, Step {"Split", "[一-龥぀-ゟ゠-ヿ]+"},
                                      Step {"Split", kDeepSeek3}, kBytes};
constexpr std::array kDeepSeekCoderSteps {Step {"Split", "[\r\n]"},
                                          Step {"Split", "\\s?\\p{L}+"},
                                          Step {"Split", "\\s?\\p{P}+"},
                                          Step {"Split", kDeepSeekHan},
                                          kDigits,
                                          kBytes};
// The second lists the letters of all scripts that have cases.
constexpr std::array kDeepSeekSteps {Step {"Split", "[\r\n]"},
                                     Step {"Split", "\\s?[A-Za-z", true},
                                     Step {"Split", "\\s?[!-/:-~！-／：-～‘-‟　-。]+"},
                                     Step {"Split", "\\s+$"},
                                     Step {"Split", kDeepSeekHan},
                                     kDigits,
                                     kBytes};

// llama.cpp's converter knows tokenizers by a hash of what they make of a test text; here the text's preparation itself
// is compared. Names of llama-vocab.cpp that stand for the same preparation are left out.
constexpr std::array kKnown {
    PreTokenizer {"gpt-2", false, kGpt2Steps},
    PreTokenizer {"smollm", false, kSmolSteps},
    PreTokenizer {"llama-bpe", true, kLlama3Steps},
    PreTokenizer {"dbrx", false, kLlama3Steps}, // Phi-4 and others that use GPT-4's cl100k
    PreTokenizer {"qwen2", false, kQwen2Steps},
    PreTokenizer {"tekken", true, kTekkenSteps},
    PreTokenizer {"gpt-4o", false, kGpt4oSteps},
    PreTokenizer {"seed-coder", false, kSeedCoderSteps},
    PreTokenizer {"deepseek-v3", false, kDeepSeek3Steps},
    PreTokenizer {"deepseek-coder", false, kDeepSeekCoderSteps},
    PreTokenizer {"deepseek-llm", false, kDeepSeekSteps},
};

bool same(std::span<const Step> steps, const std::vector<TokenizerStep>& found)
{
    return std::ranges::equal(steps, found, [](const Step& a, const TokenizerStep& b) {
        return a.type == b.type && (a.goesOn ? b.detail.starts_with(a.detail) : a.detail == b.detail);
    });
}

} // namespace

std::string_view preTokenizerName(const TokenizerFile& file)
{
    std::string_view name;
    for (const PreTokenizer& known : kKnown)
        if (same(known.steps, file.preTokenizer) && (name.empty() || known.ignoreMerges == file.ignoreMerges))
            name = known.name;
    return name;
}

} // namespace quern
