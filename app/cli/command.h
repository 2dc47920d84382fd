#pragma once

#include "app/cli/arguments.h"
#include "core/progress.h"

// One verb of quern-cli. run throws WrongUsage, quern::Error, quern::Cancelled.
struct Command {
    std::string_view name;
    const char* positional; // "MODEL", as the help writes it
    const char* summary;
    std::size_t least, most; // number of positional arguments
    std::span<const Option> options;
    std::span<const std::string_view> repeatable;
    void (*run)(const Arguments& arguments, quern::Progress& progress);
};

extern const Command infoCommand, statsCommand, tokensCommand, quantizeCommand, compareCommand, evaluateCommand,
    calibrateCommand, recipeCommand, formatsCommand, methodsCommand, architecturesCommand;
