#include "core/commandline.h"

#include "core/preset.h"
#include "core/rewrite.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

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

// As short as reads back to the same bits, with a point.
std::string number(double value)
{
    std::array<char, 32> digits;
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

// Whether the first rule is what --format, --method and --set say.
bool startsWithFormat(const Recipe& recipe)
{
    return !recipe.preset && !recipe.rules.empty() && recipe.rules.front().pattern == "*"
        && recipe.rules.front().choice.quantizer;
}

std::string methodOptions(const Quantizer& method, const Settings& settings)
{
    std::string options = option("--method", method.name);
    for (const auto& [key, value] : settings)
        options += option("--set", key + '=' + number(value));
    return options;
}

std::string formatOptions(const Choice& choice)
{
    const bool plain = choice.quantizer->name == "nearest" && choice.settings.empty(); // is what goes without saying
    return option("--format", choice.format->name)
        + (plain ? std::string() : methodOptions(*choice.quantizer, choice.settings));
}

std::string ruleOption(const Rule& rule)
{
    if (!rule.choice.quantizer)
        return option("--rule", rule.pattern + "=copy");
    return option("--rule",
                  rule.pattern + '=' + std::string(rule.choice.format->name) + ':'
                      + std::string(rule.choice.quantizer->name));
}

// ":KEY=VALUE,KEY=VALUE"
std::string attached(const Settings& settings)
{
    std::string word;
    for (char before = ':'; const auto& [key, value] : settings) {
        word += before + key + '=' + number(value);
        before = ',';
    }
    return word;
}

std::string recipeOptions(const Recipe& recipe)
{
    const bool format = startsWithFormat(recipe);
    std::string options;
    for (const RewriteChoice& choice : recipe.rewrites)
        options += option("--rewrite", std::string(choice.rewrite->name) + attached(choice.settings));
    if (recipe.sequential)
        options += ' ' + shellWord("--sequential" + attached(*recipe.sequential));
    if (recipe.preset)
        options += option("--preset", recipe.preset->name);
    if (recipe.preset && recipe.method)
        options += methodOptions(*recipe.method, recipe.settings);
    if (format)
        options += formatOptions(recipe.rules.front().choice);
    for (const Rule& rule : std::span(recipe.rules).subspan(format ? 1 : 0))
        options += ruleOption(rule);
    return options;
}

std::string textOptions(const Command& command)
{
    std::string options = option("--text", command.text.string()) + " --ctx " + std::to_string(command.context);
    if (command.chunks > 0)
        options += " --chunks " + std::to_string(command.chunks);
    return options;
}

// A path that is no option, whatever it begins with.
std::string pathWord(const std::filesystem::path& path)
{
    return shellWord(path.string().starts_with('-') ? "./" + path.string() : path.string());
}

} // namespace

bool sayable(const Recipe& recipe)
{
    const auto rules = std::span(recipe.rules).subspan(startsWithFormat(recipe) ? 1 : 0);
    return recipe.name.empty() && (recipe.preset || !recipe.rules.empty())
        && std::ranges::all_of(rules, [](const Rule& rule) { return rule.choice.settings.empty(); });
}

std::string commandLine(const Recipe& recipe, const Command& command)
{
    std::string line = "quern-cli quantize " + pathWord(command.model);
    line += option("-o", command.target.string());
    line += sayable(recipe) ? recipeOptions(recipe) : option("--recipe", command.recipe.string());
    if (recipe.sequential)
        line += textOptions(command);
    if (!command.imatrix.empty() && (!recipe.sequential || !recipe.rewrites.empty()))
        line += option("--imatrix", command.imatrix.string());
    if (command.zeroNonFinite)
        line += " --zero-nonfinite";
    if (command.coarse)
        line += " --coarse";
    if (command.overwrite)
        line += " --overwrite";
    return line;
}

} // namespace quern
