#include "core/chunks.h"

#include "core/error.h"

#include <algorithm>

namespace quern {
namespace {

constexpr long kShortest = 4; // tokens: with fewer, nothing is scored

} // namespace

Chunks inChunks(std::span<const int> tokens, long context, long most, std::optional<int> bos)
{
    if (context < kShortest)
        fail(QUERN_TEXT("core", "Chunks of %1 tokens are too short; at least %2 are needed."), context, kShortest);
    const auto size = static_cast<long>(tokens.size());
    if (size < context)
        fail(QUERN_TEXT("core", "The text has %1 tokens; a chunk of %2 needs a longer text, or choose shorter chunks."),
             size, context);
    const long count = most > 0 ? std::min(most, size / context) : size / context;
    const auto used = tokens.first(static_cast<std::size_t>(count * context));
    Chunks chunks {context, {used.begin(), used.end()}};
    if (bos)
        for (long i = 0; i < count; ++i)
            chunks.tokens[static_cast<std::size_t>(i * context)] = *bos;
    return chunks;
}

Chunks chunksOf(const Tokenizer& tokenizer, std::string_view text, long context, long most, const Progress& progress)
{
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    const std::vector<int> tokens = tokenizer.encode(text, true, false, progress);
    return inChunks(tokens, context, most, tokenizer.addsBos() ? tokenizer.bos() : std::nullopt);
}

} // namespace quern
