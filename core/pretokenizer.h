#pragma once

#include "core/tokenizerfile.h"

#include <string_view>

namespace quern {

// llama.cpp's name (tokenizer.ggml.pre) of the way a byte-level tokenizer splits text before it merges; empty if it is
// none of those known here.
std::string_view preTokenizerName(const TokenizerFile& file);

} // namespace quern
