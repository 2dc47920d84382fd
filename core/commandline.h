#pragma once

#include "core/recipe.h"

namespace quern {

// Whether options of quern-cli can say the recipe: a preset, or one choice for every tensor, and rules upon it that
// leave a method's settings alone; without a name. Others need a recipe file. Either way the same file comes out, byte
// by byte.
bool sayable(const Recipe& recipe);

// The command that does in a terminal what the window does, quoted for a POSIX shell.
struct Command {
    std::filesystem::path model, target;
    std::filesystem::path recipe;  // file that holds the recipe; used if it is not sayable
    std::filesystem::path imatrix; // empty: none; of a sequence only its rewrites use it
    std::filesystem::path text;    // of a recipe with `sequential`, not empty there
    long context = 0, chunks = 0;  // of the text: tokens of a chunk, chunks at most (0: all)
    bool overwrite = false, zeroNonFinite = false, coarse = false; // as in ExportOptions
};
std::string commandLine(const Recipe& recipe, const Command& command);

} // namespace quern
