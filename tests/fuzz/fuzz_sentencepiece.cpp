#include "core/error.h"
#include "core/sentencepiece.h"

#include <cmath>
#include <cstdlib>

// tokenizer.model: every score is a number, and texts are no longer than the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        std::size_t bytes = 0;
        for (const auto& piece : quern::sentencePieces(std::as_bytes(std::span(data, size)), "fuzz").pieces) {
            bytes += piece.text.size();
            if (!std::isfinite(piece.score) || bytes > size)
                std::abort();
        }
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
