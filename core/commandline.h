#pragma once

#include "core/recipe.h"

namespace quern {

// Whether options of quern-cli can say the recipe: rules that set a format and leave a method's settings alone.
// Others need a recipe file.
bool sayable(const Recipe& recipe);

// The command that does in a terminal what the window does, quoted for a POSIX shell.
struct Command {
    std::filesystem::path model, target;
    std::filesystem::path recipe;  // file that holds the recipe; used if it is not sayable
    std::filesystem::path imatrix; // empty: none
};
std::string commandLine(const Recipe& recipe, const Command& command);

} // namespace quern
