#include "core/scope.h"

namespace quern {
namespace {

// Whether every name that `narrow` matches is matched by `wide`. A star of `narrow` is taken as a text of its own,
// which a star of `wide` swallows; so "*" covers all globs, and "blk.3.*" covers "blk.3.attn_q.weight".
bool covers(std::string_view wide, std::string_view narrow)
{
    if (wide == narrow)
        return true;
    const bool regular = narrow.starts_with('/') || wide.starts_with('/');
    if (regular)
        return wide == "*";
    return matches({.pattern = std::string(wide)}, narrow) && (wide.find('*') != std::string_view::npos);
}

} // namespace

std::string patternFor(Reach reach, std::string_view tensorName)
{
    const int layer = layerOf(tensorName);
    std::string name(tensorName);
    if (reach == Reach::All)
        return "*";
    if (reach == Reach::Tensor || layer < 0)
        return name;
    const std::string prefix = "blk." + std::to_string(layer) + '.';
    return reach == Reach::Layer ? prefix + '*' : "blk.*." + name.substr(prefix.size());
}

Recipe withRule(Recipe recipe, Rule rule)
{
    recipe = withoutRules(std::move(recipe), rule.pattern);
    recipe.rules.push_back(std::move(rule));
    return recipe;
}

Recipe withoutRules(Recipe recipe, std::string_view pattern)
{
    std::erase_if(recipe.rules, [&](const Rule& rule) { return covers(pattern, rule.pattern); });
    return recipe;
}

} // namespace quern
