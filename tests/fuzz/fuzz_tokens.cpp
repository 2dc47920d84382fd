#include "core/bytetext.h"
#include "core/error.h"
#include "core/splits.h"
#include "core/tokenizer.h"
#include "core/utf8.h"

#include <algorithm>
#include <cstdlib>

using namespace quern;

namespace {

// Takes an input apart from its beginning.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size)
        : m_rest(reinterpret_cast<const char*>(data), size)
    {
    }

    unsigned byte()
    {
        if (m_rest.empty())
            return 0;
        const auto value = static_cast<unsigned char>(m_rest.front());
        m_rest.remove_prefix(1);
        return value;
    }
    std::string text(std::size_t longest)
    {
        const std::string value(m_rest.substr(0, byte() % (longest + 1)));
        m_rest.remove_prefix(std::min(value.size(), m_rest.size()));
        return value;
    }
    std::string_view rest() const { return m_rest; }

private:
    std::string_view m_rest;
};

struct Vocabulary {
    std::vector<std::string> tokens, merges;
    std::vector<std::int32_t> types;
    std::vector<float> scores;
    bool plain = true; // byte level, all bytes there, merges to tokens, nothing special: every text comes back

    void add(std::string token, unsigned type, unsigned score)
    {
        tokens.push_back(std::move(token));
        types.push_back(static_cast<std::int32_t>(type));
        scores.push_back(-static_cast<float>(score));
    }
};

Vocabulary vocabulary(Input& input, bool bytes, bool pieces)
{
    Vocabulary result;
    for (int byte = 0; bytes && byte < 256; ++byte)
        result.add(spelled(static_cast<unsigned char>(byte)), 1, 100);
    result.plain = bytes && !pieces;
    const unsigned more = input.byte() % 40;
    for (unsigned i = 0; i < more; ++i) {
        const unsigned type = input.byte() % 9;
        result.plain = result.plain && type == 1;
        result.add(input.text(12), type, input.byte() % 16);
    }
    const unsigned merges = input.byte() % 40;
    for (unsigned i = 0; i < merges; ++i) {
        const std::string left = input.text(8), right = input.text(8);
        result.merges.push_back(left + ' ' + right);
        result.plain = result.plain && std::ranges::find(result.tokens, left + right) != result.tokens.end();
    }
    return result;
}

void demand(bool holds)
{
    if (!holds)
        std::abort();
}

void encode(const Tokenizer& tokenizer, std::string_view text, bool plain)
{
    for (const bool special : {false, true}) {
        const std::vector<int> tokens = tokenizer.encode(text, special, special);
        for (const int token : tokens)
            demand(token >= 0 && static_cast<std::size_t>(token) < tokenizer.vocabularySize());
        const std::string back = tokenizer.decode(tokens, special);
        demand(special || !plain || !isUtf8(text) || back == text);
    }
}

} // namespace

// Any vocabulary on any text: tokens exist, and a plain vocabulary that has all bytes gives the text back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input input(data, size);
    const unsigned flags = input.byte();
    const bool pieces = (flags & 1) != 0;
    const Split& split = splits()[input.byte() % splits().size()];
    const Vocabulary made = vocabulary(input, (flags & 2) != 0, pieces);
    Metadata metadata;
    metadata.set("tokenizer.ggml.model", std::string(pieces ? "llama" : "gpt2"));
    metadata.set("tokenizer.ggml.pre", std::string(split.name));
    metadata.set("tokenizer.ggml.tokens", MetaArray(made.tokens));
    metadata.set("tokenizer.ggml.token_type", MetaArray(made.types));
    metadata.set("tokenizer.ggml.scores", MetaArray(made.scores));
    metadata.set("tokenizer.ggml.merges", MetaArray(made.merges));
    if ((flags & 4) != 0)
        metadata.set("tokenizer.ggml.add_bos_token", (flags & 8) != 0);
    if ((flags & 16) != 0)
        metadata.set("general.name", std::string("phi-3"));
    try {
        encode(tokenizerOf(metadata), input.rest(), made.plain);
    } catch (const Error&) {
        return 0;
    }
    return 0;
}
