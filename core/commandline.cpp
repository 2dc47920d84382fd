#include "core/commandline.h"

#include "core/preset.h"

#include <algorithm>

namespace quern {
namespace {

std::string shellWord(std::string_view word)
{
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%^";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos)
        return std::string(word);
    std::string result = "'";
    for (const char c : word)
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + '\'';
}

std::string option(std::string_view name, std::string_view value)
{
    return ' ' + std::string(name) + ' ' + shellWord(value);
}

} // namespace

bool sayable(const Recipe& recipe)
{
    return recipe.preset && std::ranges::all_of(recipe.rules, [](const Rule& rule) {
               return rule.choice.format && rule.choice.quantizer && rule.choice.settings.empty()
                   && rule.pattern.find('=') == std::string::npos;
           });
}

std::string commandLine(const Recipe& recipe, const Command& command)
{
    std::string line = "quern-cli quantize " + shellWord(command.model.string());
    line += option("-o", command.target.string());
    if (sayable(recipe)) {
        line += option("--preset", recipe.preset->name);
        for (const Rule& rule : recipe.rules)
            line += option("--rule",
                           rule.pattern + '=' + std::string(rule.choice.format->name) + ':'
                               + std::string(rule.choice.quantizer->name));
    } else {
        line += option("--recipe", command.recipe.string());
    }
    if (!command.imatrix.empty())
        line += option("--imatrix", command.imatrix.string());
    return line;
}

} // namespace quern
