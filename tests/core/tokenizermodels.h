#pragma once

#include "core/gguf.h"
#include "core/splits.h"
#include "core/tokenization.h"
#include "core/tokenizer.h"
#include "tests/core/tinymodel.h"
#include "tests/judge/llama.h"

#include <QDir>
#include <QFile>

#include <random>
#include <sstream>

// Tokenizers to compare with llama.cpp's, as metadata and as GGUF files without weights.
namespace tokens {

inline const QString kShared = QStringLiteral(QUERN_SHARED_DIR);

inline void writeTokenizer(const quern::Metadata& metadata, const std::string& path)
{
    quern::Metadata all;
    all.set("general.architecture", std::string("llama"));
    for (const auto& [key, value] : metadata.entries())
        all.set(key, value);
    const std::vector<std::byte> header = quern::gguf::layout(all, {}).header;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(header.data()), static_cast<std::streamsize>(header.size()));
}

// The tokenizer in a Hugging Face folder.
inline quern::Metadata fromFolder(const QString& folder, std::size_t tokens)
{
    quern::Metadata metadata;
    std::vector<std::string> warnings;
    quern::describeTokenizer(folder.toStdString(), quern::Config::fromJson("{}", "config.json"), tokens, metadata,
                             warnings);
    return metadata;
}

constexpr std::size_t kGpt2Tokens = 50257;

inline quern::Metadata gpt2()
{
    return fromFolder(kShared + "/models/gpt2-tokenizer", kGpt2Tokens);
}

// A byte-level vocabulary in which nearly every two neighbours merge, so that every cut between words shows.
inline quern::Metadata pairs(const std::string& split, unsigned seed = 1)
{
    std::vector<std::string> texts, merges, bytes;
    for (int byte = 0; byte < 256; ++byte)
        bytes.push_back(tiny::byteCharacter(byte));
    texts = bytes;
    const auto common
        = [](int byte) { return byte == '\t' || byte == '\n' || byte == '\r' || (byte >= 0x20 && byte < 0xF8); };
    std::mt19937 random(seed);
    for (std::size_t left = 0; left < 256; ++left)
        for (std::size_t right = 0; right < 256; ++right)
            if (common(int(left)) && common(int(right)) && random() % 4 == 0)
                merges.push_back(bytes[left] + ' ' + bytes[right]);
    std::shuffle(merges.begin(), merges.end(), random);
    for (const std::string& merge : merges)
        texts.push_back(QString::fromStdString(merge).remove(' ').toStdString());
    const auto special = static_cast<std::uint32_t>(texts.size());
    texts.emplace_back("<|end|>");
    std::vector<std::int32_t> types(texts.size(), 1);
    types.back() = 3;
    quern::Metadata metadata;
    metadata.set("tokenizer.ggml.model", std::string("gpt2"));
    metadata.set("tokenizer.ggml.pre", split);
    metadata.set("tokenizer.ggml.tokens", quern::MetaArray(texts));
    metadata.set("tokenizer.ggml.token_type", quern::MetaArray(types));
    metadata.set("tokenizer.ggml.merges", quern::MetaArray(merges));
    metadata.set("tokenizer.ggml.bos_token_id", special);
    metadata.set("tokenizer.ggml.eos_token_id", special);
    return metadata;
}

// Contractions, digits, space of other scripts, letters of many scripts and cases, marks, emoji, punctuation, and code
// points that no script has; a space between.
inline constexpr auto kCharacters
    = "'s 'S 'll 'RE 't 123 4567 the The HTTPServer \u0085 \u00A0 \u1680 \u2003 \u2028 \u2029 "
      "\u202F \u3000 \u200B \uFEFF \u00AD é É ß ſ K ά Ж ж ǅ ʰ ª ² ½ Ⅷ ٣ ۴ ३ 一 四 龥 鿿 "
      "あ カ ー 한 글 ㄱ م رحبا ن \u064B ह ि न्दी \u0301 e\u0301 \u20DD ไ ก่ "
      "😀 👩‍👩‍👧 🏳️‍🌈 🇩🇪 👍🏽 "
      "€ $ ™ → ∑ ~ ` 。 、 ， ！ … “ ” — 「 ؟ । 𝒳 𐍈 "
      "\U0001F9FF \U000E0001 \uE000 \u0378 \U0002EBF0 \U00031350 \U0010FFFF";

// These, white space, ASCII, and bytes that are no characters.
inline const std::vector<std::string>& alphabet()
{
    static const std::vector<std::string> characters = [] {
        std::vector<std::string> all {"\t", "\n", "\r", "\r\n", "\n\n", "\v", "\f", "  ", "   "};
        std::istringstream words(kCharacters);
        for (std::string word; words >> word;)
            all.push_back(word);
        for (char c = 0x20; c < 0x7F; ++c)
            all.emplace_back(1, c);
        for (const std::string& broken :
             {std::string(1, '\0'), std::string("\x01"), std::string("\x7F"), std::string("\x80"), std::string("\xC3"),
              std::string("\xE2\x82"), std::string("\xF0\x9F\x98"), std::string("\xED\xA0\x80"),
              std::string("\xC0\x80"), std::string("\xE0\x81\x81"), std::string("\xFF"), std::string("\xF8")})
            all.push_back(broken);
        return all;
    }();
    return characters;
}

inline std::string randomText(std::mt19937& random, std::size_t characters)
{
    const std::vector<std::string>& from = alphabet();
    std::string text;
    for (std::size_t i = 0; i < characters;) {
        const std::size_t repeats = random() % 8 == 0 ? 1 + random() % 6 : 1;
        // Often a neighbour in the list, so that runs of one kind come about.
        const std::size_t place = random() % from.size();
        for (std::size_t r = 0; r < repeats; ++r, ++i)
            text += from[(place + random() % 3) % from.size()];
        if (random() % 5 == 0)
            text += ' ';
    }
    return text;
}

} // namespace tokens
