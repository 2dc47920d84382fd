#pragma once

#include "core/calibrate.h"
#include "core/scratchfile.h"

#include <algorithm>

// How calibrate and what is like it divide their work, which decides what they need, and where hidden states lie.
namespace quern::calibrating {

constexpr long kBatchTokens = 8192; // that go through a block at once
constexpr long kHeadTokens = 512;   // that go through the output matrix at once

// Chunks that are read at once.
inline long batchOf(const Chunks& chunks)
{
    return std::min(chunks.count(), std::max(1L, kBatchTokens / chunks.context));
}

// work(first token, tokens) for parts of so many chunks at most.
template <typename Work>
void forParts(const Chunks& chunks, long most, Progress& progress, const Work& work)
{
    for (long first = 0; first < chunks.count(); first += most) {
        const long n = std::min(most, chunks.count() - first);
        progress.check();
        work(first * chunks.context, n * chunks.context);
    }
}

inline std::span<const int> tokensOf(const Chunks& chunks, long first, long n)
{
    return std::span(chunks.tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
}

// Files of hidden states, of one token behind the other.
inline std::uint64_t hiddenBytes(const Chunks& chunks, long width)
{
    return chunks.tokens.size() * static_cast<std::uint64_t>(width) * sizeof(float);
}

inline Matrix readHidden(const ScratchFile& file, long width, long first, long n)
{
    Matrix hidden(n, width);
    file.read(static_cast<std::uint64_t>(first * width) * sizeof(float),
              std::as_writable_bytes(std::span(hidden.data(), static_cast<std::size_t>(hidden.size()))));
    return hidden;
}

inline void writeHidden(const ScratchFile& file, long first, const Matrix& hidden)
{
    file.write(static_cast<std::uint64_t>(first * hidden.cols()) * sizeof(float),
               std::as_bytes(std::span(hidden.data(), static_cast<std::size_t>(hidden.size()))));
}

} // namespace quern::calibrating
