#include "core/splits.h"

#include <algorithm>
#include <array>

namespace quern {
namespace {

// The patterns are those of the models' own tokenizer.json files as llama.cpp applies them: letters without cases count
// as capital and small, and a few match other than the original, since ids have to be those that the runtime gives.
constexpr std::array kGpt2 {Cut {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"}};
constexpr std::array kDigits {Cut {R"(\p{N})"}, kGpt2[0]};
constexpr std::array kDefault {Cut {R"([\p{P}$+<=>^~|]+)"}, kGpt2[0], Cut {R"(\p{N}+)"}, Cut {"[0-9][0-9][0-9]"}};
constexpr std::array kFalcon {Cut {R"([\p{P}$+<=>^~|`]+)"}, kGpt2[0], Cut {"[0-9][0-9][0-9]"}};

// Llama 3 (cl100k with digits by threes), Qwen 2 (digits one by one) and what follows them.
constexpr std::array kLlama3 {Cut {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
constexpr std::array kQwen2 {Cut {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
constexpr std::array kQwen35 {Cut {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
constexpr std::array kSeedCoder {Cut {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
constexpr std::array kBailing {Cut {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}};

// o200k: words end where a small letter meets a capital one.
constexpr std::array kTekken {Cut {
    R"([^\r\n\p{L}\p{N}]?\p{U}*\p{l}+|[^\r\n\p{L}\p{N}]?\p{U}+\p{l}*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
constexpr std::array kGpt4o {Cut {
    R"([^\r\n\p{L}\p{N}]?\p{U}*\p{l}+(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?|[^\r\n\p{L}\p{N}]?\p{U}+\p{l}*(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};

constexpr auto kHanAndKana = std::to_array<CharacterRange>({{0x4E00, 0x9FA5}, {0x3040, 0x30FF}});
constexpr std::array kDeepSeek3 {
    Cut {R"(\p{N}{1,3})"}, Cut {R"(\p{A}+)", kHanAndKana},
    Cut {
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};

// All between U+0800 and the last Han character of Unicode 1.1, and Hangul.
constexpr auto kEastern = std::to_array<CharacterRange>({{0x0800, 0x9FA5}, {0xAC00, 0xD7FF}});
constexpr std::array kDeepSeekCoder {Cut {R"([\r\n])"}, Cut {R"(\s?\p{L}+)"}, Cut {R"(\s?\p{P}+)"},
                                     Cut {R"(\p{A}+)", kEastern}, Cut {R"(\p{N})"}};

// Letters of the scripts that have cases, but ASCII's.
constexpr auto kCased = std::to_array<CharacterRange>({
    {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},
    {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x377},     {0x37B, 0x37D},
    {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},     {0x38C, 0x38C},     {0x38E, 0x3A1},
    {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},
    {0x13A0, 0x13F5},   {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},
    {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},
    {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},
    {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},
    {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},
    {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212A, 0x212D},
    {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},
    {0x2183, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},
    {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
    {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
    {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
});
constexpr auto kWidePunctuation
    = std::to_array<CharacterRange>({{0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}, {0x2018, 0x201F}, {0x3001, 0x3002}});
constexpr std::array kDeepSeek {
    Cut {R"([\r\n])"},      Cut {R"(\s?[A-Za-z\p{A}]+)", kCased}, Cut {R"(\s?[!-/:-~\p{A}]+)", kWidePunctuation},
    Cut {R"((?<!\s)\s+$)"}, Cut {R"(\p{A}+)", kEastern},          Cut {R"(\p{N}+)"}};

// Full stops and commas of many scripts.
constexpr auto kStops = std::to_array<CharacterRange>(
    {{0x2026, 0x2026}, {0x3001, 0x3002}, {0xFF0C, 0xFF0C}, {0x0964, 0x0964}, {0x06D4, 0x06D4}, {0x060C, 0x060C}});
constexpr std::array kBloom {Cut {R"( ?[^(\s|.,!?)\p{A}]+)", kStops}};
constexpr std::array kViking {kBloom[0], Cut {R"(\p{N})"}};

constexpr auto kSplits = std::to_array<Split>({
    {"default", kDefault},
    {"gpt-2", kGpt2},
    {"phi-2", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {"exaone4", kGpt2},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"smollm", kDigits},
    {"starcoder", kDigits},
    {"refact", kDigits},
    {"command-r", kDigits},
    {"codeshell", kDigits},
    {"exaone", kDigits},
    {"minerva-7b", kDigits},
    {"mellum2", kDigits},
    {"falcon", kFalcon},
    {"llama-bpe", kLlama3, true, true},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"falcon-h1", kLlama3, true, true},
    {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"glm4", kLlama3},
    {"chatglm-bpe", kLlama3},
    {"qwen2", kQwen2},
    {"deepseek-r1-qwen", kQwen2},
    {"megrez", kQwen2},
    {"stablelm2", kQwen2},
    {"hunyuan", kQwen2},
    {"solar-open", kQwen2},
    {"grok-2", kQwen2},
    {"qwen35", kQwen35},
    {"seed-coder", kSeedCoder},
    {"bailingmoe", kBailing},
    {"bailingmoe2", kBailing},
    {"llada-moe", kBailing},
    {"tekken", kTekken, true, true},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"minimax-m2", kGpt4o},
    {"deepseek-v3", kDeepSeek3},
    {"hunyuan-dense", kDeepSeek3},
    {"joyai-llm", kDeepSeek3},
    {"deepseek-coder", kDeepSeekCoder},
    {"deepseek-llm", kDeepSeek},
    {"bloom", kBloom},
    {"gpt3-finnish", kBloom},
    {"poro-chat", kBloom},
    {"viking", kViking},
});

} // namespace

const Split* findSplit(std::string_view name)
{
    const auto split = std::ranges::find(kSplits, name, &Split::name);
    return split == kSplits.end() ? nullptr : &*split;
}

std::span<const Split> splits()
{
    return kSplits;
}

} // namespace quern
