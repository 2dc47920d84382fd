#pragma once

#include "core/evaluate.h"

namespace quern {

// An evaluation as a GGUF file (docs/files.md), for the program itself to read again. Atomically. Throws Error.
void writeEvaluation(const Evaluation& evaluation, const std::filesystem::path& path, bool overwrite);

// Checks every size against the file and every number for being what it may be. Throws Error.
Evaluation readEvaluation(const std::filesystem::path& path);
// From memory. source: name for messages.
Evaluation evaluationFromBytes(std::span<const std::byte> file, std::string_view source);

} // namespace quern
