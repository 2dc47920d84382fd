#pragma once

#include "core/tokenizer.h"

namespace quern {

// Tokens in chunks of one length: each is read by itself, from position 0.
struct Chunks {
    long context = 0;        // tokens of a chunk, at least 2
    std::vector<int> tokens; // a multiple of it

    long count() const { return context > 0 ? static_cast<long>(tokens.size()) / context : 0; }
    std::span<const int> chunk(long i) const
    {
        return std::span(tokens).subspan(static_cast<std::size_t>(i * context), static_cast<std::size_t>(context));
    }

    // Predictions that count: of the tokens after the first half, which gives them something to go by.
    long firstScored() const { return context / 2; }
    long scored() const { return context - 1 - firstScored(); } // of each chunk
};

// Cuts a text as llama.cpp's tools do: what is left at the end is not used; the first token of every chunk gives way to
// `bos`, if the model begins texts with one. most: chunks at most; 0: all. Throws Error if there is not one chunk.
Chunks inChunks(std::span<const int> tokens, long context, long most, std::optional<int> bos);

// Of a text as files hold it: a line's end at its very end does not count. Control tokens in it are text.
Chunks chunksOf(const Tokenizer& tokenizer, std::string_view text, long context, long most, const Progress& progress);

} // namespace quern
