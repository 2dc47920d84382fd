#pragma once

#include "core/error.h"

#include <filesystem>
#include <optional>

namespace quern {

// Names of models in several files: "name-00002-of-00003.gguf".
struct PartName {
    std::string stem, suffix;  // "name", ".gguf"
    int number = 0, count = 0; // 2 and 3; number is not checked to be within count

    std::string file(int i) const; // the name of part i
};
std::optional<PartName> partName(std::string_view file, std::string_view suffix); // none: it is named otherwise

// Why a part without the others cannot be exported.
Error partAlone(const std::filesystem::path& path);

} // namespace quern
