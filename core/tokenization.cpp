#include "core/tokenization.h"

#include "core/error.h"
#include "core/mappedfile.h"
#include "core/vocabulary.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace quern {
namespace {

struct SpecialToken {
    const char* name; // in Hugging Face's files
    const char* key;  // in GGUF, its spelling included
};

constexpr std::array kSpecial {
    SpecialToken {"bos", "tokenizer.ggml.bos_token_id"},     SpecialToken {"eos", "tokenizer.ggml.eos_token_id"},
    SpecialToken {"unk", "tokenizer.ggml.unknown_token_id"}, SpecialToken {"sep", "tokenizer.ggml.seperator_token_id"},
    SpecialToken {"pad", "tokenizer.ggml.padding_token_id"}, SpecialToken {"cls", "tokenizer.ggml.cls_token_id"},
    SpecialToken {"mask", "tokenizer.ggml.mask_token_id"},
};

struct Files {
    std::optional<TokenizerFile> file;
    std::optional<SentencePieces> pieces;
    std::vector<AddedToken> added; // of added_tokens.json
    TokenizerConfig config;
};

Files read(const std::filesystem::path& folder)
{
    Files files;
    const std::filesystem::path json = folder / "tokenizer.json", model = folder / "tokenizer.model";
    const bool hasJson = std::filesystem::is_regular_file(json), hasModel = std::filesystem::is_regular_file(model);
    if (!hasJson && !hasModel)
        fail(QUERN_TEXT("core",
                        "The folder %1 has neither tokenizer.json nor tokenizer.model. Without a tokenizer llama.cpp "
                        "cannot run the model; copy it from the model that this one was made of."),
             folder.string());
    if (hasJson)
        files.file = readTokenizerFile(json);
    const bool bytesAsTokens = !files.file || files.file->byteFallback;
    if (hasModel && bytesAsTokens) // others, such as Llama 3, keep files of other kinds under that name
        files.pieces = sentencePieces(MappedFile::open(model)->bytes(), model.string());
    if (const auto added = folder / "added_tokens.json"; !hasJson && std::filesystem::is_regular_file(added))
        files.added = readAddedTokens(added);
    files.config = readTokenizerConfig(folder);
    return files;
}

bool splitsBytes(const TokenizerFile& file)
{
    return std::ranges::any_of(file.preTokenizer, [](const TokenizerStep& step) { return step.type == "ByteLevel"; });
}

Vocabulary vocabulary(const Files& files, std::size_t rows, std::vector<std::string>& warnings)
{
    const TokenizerFile* file = files.file ? &*files.file : nullptr;
    if (file && file->model != "BPE")
        fail(QUERN_TEXT("core",
                        "The tokenizer is of the kind %1; of these families llama.cpp reads byte-pair encoding (BPE) "
                        "alone."),
             file->model);
    if (file && splitsBytes(*file))
        return byteLevelVocabulary(*file, rows, warnings);
    if (file && !file->byteFallback && !files.pieces)
        fail(QUERN_TEXT("core",
                        "tokenizer.json works neither on bytes (ByteLevel) nor falls back to them (byte_fallback); "
                        "llama.cpp has no such tokenizer."));
    std::vector<AddedToken> added = files.added;
    if (!file) // in tokenizer.json they stand among its own
        added.insert(added.end(), files.config.added.begin(), files.config.added.end());
    return sentencePieceVocabulary(file, files.pieces ? &*files.pieces : nullptr, added, rows, warnings);
}

std::optional<std::int64_t> configured(const Config& config, const std::string& key)
{
    if (config.has(key)) {
        const std::vector<std::int64_t> ids = config.integers(key); // the first of several is the one to write
        return ids.empty() ? std::nullopt : std::optional(ids.front());
    }
    return config.has("text_config") ? configured(config.object("text_config"), key) : std::nullopt;
}

std::optional<std::int64_t> specialToken(const char* name, const Files& files, const Config& config,
                                         const Vocabulary& vocabulary)
{
    if (const auto it = files.config.special.find(name); it != files.config.special.end())
        if (const auto token = std::ranges::find(vocabulary.tokens, it->second); token != vocabulary.tokens.end())
            return token - vocabulary.tokens.begin();
    const auto id = configured(config, std::string(name) + "_token_id");
    const bool known = id && *id >= 0 && static_cast<std::uint64_t>(*id) < vocabulary.tokens.size();
    return known ? id : std::nullopt;
}

// Whether the tokenizer itself puts the special token around a text; empty if it does not say. (Without a template,
// transformers' class decides, and llama.cpp does the same for SentencePiece.)
std::optional<bool> adds(const char* name, const std::string& around, const Files& files, const Vocabulary& vocabulary,
                         std::optional<std::int64_t> id)
{
    if (const auto it = files.config.adds.find(name); it != files.config.adds.end())
        return it->second;
    if (!files.file || (!files.file->hasTemplate && vocabulary.model == "llama"))
        return {};
    return id && !around.empty() && vocabulary.tokens[static_cast<std::size_t>(*id)] == around;
}

bool prefixesSpace(const Files& files)
{
    if (files.config.addPrefixSpace)
        return *files.config.addPrefixSpace;
    if (!files.file)
        return files.pieces->addDummyPrefix;
    const auto prepends = [](const TokenizerStep& step) {
        return step.type == "Prepend" || (step.type == "Metaspace" && step.detail != "never");
    };
    return std::ranges::any_of(files.file->normalizer, prepends)
        || std::ranges::any_of(files.file->preTokenizer, prepends);
}

void describeSpecial(const Files& files, const Config& config, const Vocabulary& vocabulary, Metadata& metadata,
                     std::vector<std::string>& warnings)
{
    std::optional<std::int64_t> bos, eos;
    for (const SpecialToken& special : kSpecial) {
        const auto id = specialToken(special.name, files, config, vocabulary);
        if (id)
            metadata.set(special.key, static_cast<std::uint32_t>(*id));
        if (std::string_view(special.name) == "bos")
            bos = id;
        if (std::string_view(special.name) == "eos")
            eos = id;
    }
    if (!eos)
        warnings.emplace_back(QUERN_TEXT("core",
                                         "Neither tokenizer_config.json nor config.json names a token that ends a text "
                                         "(eos_token); llama.cpp will assume one."));
    const std::string none;
    if (const auto value = adds("bos", files.file ? files.file->first : none, files, vocabulary, bos))
        metadata.set("tokenizer.ggml.add_bos_token", *value);
    if (const auto value = adds("eos", files.file ? files.file->last : none, files, vocabulary, eos))
        metadata.set("tokenizer.ggml.add_eos_token", *value);
    if (vocabulary.model == "llama")
        metadata.set("tokenizer.ggml.add_space_prefix", prefixesSpace(files));
}

void describeChat(const TokenizerConfig& config, Metadata& metadata)
{
    std::vector<std::string> names;
    for (auto [name, text] : config.chatTemplates) {
        const bool isDefault = name == "default";
        std::ranges::replace_if(
            name, [](unsigned char c) { return c >= 0x80 || !std::isalnum(c); }, '_');
        metadata.set(isDefault ? "tokenizer.chat_template" : "tokenizer.chat_template." + name, text);
        if (!isDefault)
            names.push_back(name);
    }
    if (!names.empty())
        metadata.set("tokenizer.chat_templates", MetaArray(std::move(names)));
}

} // namespace

void describeTokenizer(const std::filesystem::path& folder, const Config& config, std::size_t rows, Metadata& metadata,
                       std::vector<std::string>& warnings)
{
    const Files files = read(folder);
    Vocabulary vocabulary = quern::vocabulary(files, rows, warnings);
    metadata.set("tokenizer.ggml.model", vocabulary.model);
    metadata.set("tokenizer.ggml.pre", vocabulary.pre);
    metadata.set("tokenizer.ggml.tokens", MetaArray(vocabulary.tokens));
    if (!vocabulary.scores.empty())
        metadata.set("tokenizer.ggml.scores", MetaArray(std::move(vocabulary.scores)));
    std::vector<std::int32_t> types;
    for (const TokenType type : vocabulary.types)
        types.push_back(static_cast<std::int32_t>(type));
    metadata.set("tokenizer.ggml.token_type", MetaArray(std::move(types)));
    if (vocabulary.model == "gpt2")
        metadata.set("tokenizer.ggml.merges", MetaArray(std::move(vocabulary.merges)));
    describeSpecial(files, config, vocabulary, metadata, warnings);
    describeChat(files.config, metadata);
}

} // namespace quern
