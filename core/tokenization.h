#pragma once

#include "core/config.h"
#include "core/metadata.h"

namespace quern {

// Reads the tokenizer beside a config.json (tokenizer.json, tokenizer.model, tokenizer_config.json, added_tokens.json,
// chat_template.*) and writes it as llama.cpp reads it, tokenizer.*. rows: of the embedding. Throws Error where there
// is no tokenizer, or one that llama.cpp could not work with.
void describeTokenizer(const std::filesystem::path& folder, const Config& config, std::size_t rows, Metadata& metadata,
                       std::vector<std::string>& warnings);

} // namespace quern
