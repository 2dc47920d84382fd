#include "core/recipe.h"

#include "core/pattern.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "core/shift.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

// Recipes as JSON. Every refusal says where: "rules[2].settings.damping in mine.json".
namespace quern {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLargest = 4 << 20; // bytes of a recipe
constexpr int kDeepest = 6;
constexpr std::size_t kMostRules = 100'000;
constexpr std::size_t kMostRewrites = 16;

// Line and column, counted from 1, of a byte.
std::string place(std::string_view text, std::size_t byte)
{
    const std::string_view before = text.substr(0, std::min(byte, text.size()));
    const auto line = std::ranges::count(before, '\n') + 1;
    const auto start = before.rfind('\n');
    const auto column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
    return std::to_string(line) + ':' + std::to_string(column);
}

// Refuses what would nest deeply, and keys that appear twice, while the text is being read.
class Reader {
public:
    Reader(std::string_view text, std::string_view source)
        : m_text(text)
        , m_source(source)
    {
    }

    Json read()
    {
        try {
            return Json::parse(m_text.begin(), m_text.end(),
                               [this](int depth, Json::parse_event_t event, Json& parsed) {
                                   watch(depth, event, parsed);
                                   return true;
                               });
        } catch (const Json::parse_error& error) {
            fail(QUERN_TEXT("core", "The recipe %1 is no JSON: the text makes no sense at line:column %2."), m_source,
                 place(m_text, error.byte > 0 ? error.byte - 1 : 0));
        } catch (const Json::out_of_range&) {
            fail(QUERN_TEXT("core", "The recipe %1 holds a number too large for any setting."), m_source);
        }
    }

private:
    void watch(int depth, Json::parse_event_t event, const Json& parsed)
    {
        if (depth > kDeepest)
            fail(QUERN_TEXT("core", "The recipe %1 nests more than %2 levels deep."), m_source, kDeepest);
        if (event == Json::parse_event_t::object_start)
            m_keys.emplace_back();
        else if (event == Json::parse_event_t::object_end)
            m_keys.pop_back();
        else if (event == Json::parse_event_t::key && !m_keys.back().insert(parsed.get<std::string>()).second)
            fail(QUERN_TEXT("core", "The recipe %1 has the key %2 twice in one object."), m_source,
                 parsed.get<std::string>());
    }

    std::string_view m_text, m_source;
    std::vector<std::set<std::string>> m_keys; // of the objects that are open
};

// A value and where it stands.
struct Spot {
    const Json& value;
    std::string where; // "rules[2].format"; empty: the recipe itself
    std::string_view source;

    Spot at(const std::string& key) const { return {value.at(key), where.empty() ? key : where + '.' + key, source}; }
    Spot at(std::size_t i) const { return {value.at(i), where + '[' + std::to_string(i) + ']', source}; }

    void expect(bool is, const char* what) const
    {
        if (!is)
            fail(QUERN_TEXT("core", "%1 in the recipe %2 is %3 where %4 is expected."), name(), source,
                 value.dump().substr(0, 60), std::string_view(what));
    }
    void onlyKeys(std::initializer_list<std::string_view> known) const
    {
        expect(value.is_object(), "an object");
        for (const auto& [key, ignored] : value.items())
            if (std::ranges::find(known, key) == known.end())
                fail(QUERN_TEXT("core", "%1 in the recipe %2 has the unknown key %3."), name(), source, key);
    }
    std::string text() const
    {
        expect(value.is_string(), "a text");
        return value.get<std::string>();
    }
    double number() const
    {
        expect(value.is_number(), "a number");
        return value.get<double>();
    }

    std::string_view name() const { return where.empty() ? "The top level" : std::string_view(where); }
};

const Preset* presetFrom(const Spot& spot)
{
    const Preset* preset = findPreset(spot.text());
    if (!preset)
        fail(QUERN_TEXT("core", "%1 in the recipe %2 names the preset %3, which is not known."), spot.where,
             spot.source, spot.text());
    return preset;
}

// of: what takes them, for messages.
Settings settingsFrom(const Spot& spot, std::string_view of, std::span<const Param> params)
{
    spot.expect(spot.value.is_object(), "an object");
    Settings settings;
    for (const auto& [key, ignored] : spot.value.items()) {
        const auto param = std::ranges::find(params, key, &Param::name);
        if (param == params.end())
            fail(QUERN_TEXT("core", "%1 in the recipe %2: %3 has no setting %4."), spot.where, spot.source, of, key);
        const double value = spot.at(key).number();
        if (!(value >= param->minimum && value <= param->maximum))
            fail(QUERN_TEXT("core", "%1.%2 in the recipe %3 is %4; it must be from %5 to %6."), spot.where, key,
                 spot.source, value, param->minimum, param->maximum);
        settings[key] = value;
    }
    return settings;
}

const Quantizer* quantizerFrom(const Spot& spot, const std::string& method)
{
    const Quantizer* quantizer = findQuantizer(method);
    if (!quantizer)
        fail(QUERN_TEXT("core", "%1 in the recipe %2 names the method %3, which is not known."), spot.name(),
             spot.source, method);
    return quantizer;
}

Choice choiceFrom(const Spot& spot)
{
    Choice choice;
    const std::string method = spot.value.contains("method") ? spot.at("method").text()
        : spot.value.contains("format")                      ? "nearest"
                                                             : "copy";
    if (method == "copy") {
        if (spot.value.contains("format") || spot.value.contains("settings"))
            fail(QUERN_TEXT("core", "%1 in the recipe %2 copies a tensor and so can have neither format nor settings."),
                 spot.where, spot.source);
        return choice;
    }
    choice.quantizer = quantizerFrom(spot, method);
    if (!spot.value.contains("format"))
        fail(QUERN_TEXT("core", "%1 in the recipe %2 names a method but no format."), spot.where, spot.source);
    const std::string format = spot.at("format").text();
    choice.format = findBlockFormat(format);
    if (!choice.format)
        fail(QUERN_TEXT("core", "%1 in the recipe %2 names the format %3, which is not known."), spot.where,
             spot.source, format);
    if (spot.value.contains("settings"))
        choice.settings = settingsFrom(spot.at("settings"), choice.quantizer->name, choice.quantizer->params);
    return choice;
}

std::vector<Rule> rulesFrom(const Spot& spot)
{
    spot.expect(spot.value.is_array(), "a list");
    if (spot.value.size() > kMostRules)
        fail(QUERN_TEXT("core", "The recipe %1 has %2 rules; at most %3 are allowed."), spot.source, spot.value.size(),
             kMostRules);
    std::vector<Rule> rules;
    for (std::size_t i = 0; i < spot.value.size(); ++i) {
        const Spot rule = spot.at(i);
        rule.onlyKeys({"match", "format", "method", "settings"});
        if (!rule.value.contains("match"))
            fail(QUERN_TEXT("core", "%1 in the recipe %2 has no \"match\", the tensors it is for."), rule.where,
                 rule.source);
        std::string pattern = rule.at("match").text();
        const Pattern checked(pattern);
        rules.push_back({std::move(pattern), choiceFrom(rule)});
    }
    return rules;
}

std::vector<RewriteChoice> rewritesFrom(const Spot& spot)
{
    spot.expect(spot.value.is_array(), "a list");
    if (spot.value.size() > kMostRewrites)
        fail(QUERN_TEXT("core", "The recipe %1 has %2 rewrites; at most %3 are allowed."), spot.source,
             spot.value.size(), kMostRewrites);
    std::vector<RewriteChoice> choices;
    for (std::size_t i = 0; i < spot.value.size(); ++i) {
        const Spot one = spot.at(i);
        one.onlyKeys({"name", "settings"});
        one.expect(one.value.contains("name"), "an object with a name");
        const std::string name = one.at("name").text();
        const Rewrite* rewrite = findRewrite(name);
        if (!rewrite)
            fail(QUERN_TEXT("core", "%1 in the recipe %2 names the rewrite %3, which is not known."), one.where,
                 one.source, name);
        choices.push_back({rewrite, {}});
        if (one.value.contains("settings"))
            choices.back().settings = settingsFrom(one.at("settings"), rewrite->name, rewrite->params);
    }
    return choices;
}

// The method of a preset's types.
void readMethod(const Spot& top, Recipe& recipe)
{
    const bool method = top.value.contains("method"), settings = top.value.contains("settings");
    if ((method && !recipe.preset) || (settings && !method))
        fail(QUERN_TEXT("core", "The recipe %1 has \"method\" without \"preset\", or \"settings\" without \"method\"."),
             top.source);
    if (method)
        recipe.method = quantizerFrom(top, top.at("method").text());
    if (settings)
        recipe.settings = settingsFrom(top.at("settings"), recipe.method->name, recipe.method->params);
}

Json toJson(const Rule& rule)
{
    Json json {{"match", rule.pattern}};
    if (!rule.choice.quantizer) {
        json["method"] = "copy";
        return json;
    }
    json["format"] = rule.choice.format->name;
    json["method"] = rule.choice.quantizer->name;
    for (const auto& [name, value] : rule.choice.settings)
        json["settings"][name] = value;
    return json;
}

Json toJson(const RewriteChoice& choice)
{
    Json json {{"name", choice.rewrite->name}};
    for (const auto& [name, value] : choice.settings)
        json["settings"][name] = value;
    return json;
}

} // namespace

Recipe recipeFromJson(std::string_view json, std::string_view source)
{
    if (json.size() > kLargest)
        fail(QUERN_TEXT("core", "The recipe %1 has %2 bytes; at most %3 are allowed."), source, json.size(), kLargest);
    const Json read = Reader(json, source).read();
    const Spot top {read, "", source};
    top.onlyKeys({"quern_recipe", "name", "preset", "method", "settings", "rewrites", "rules", "sequential"});
    if (!read.contains("quern_recipe"))
        fail(QUERN_TEXT("core", "%1 is no recipe: it lacks \"quern_recipe\": 1."), source);
    const Spot version = top.at("quern_recipe");
    version.expect(version.value.is_number_integer(), "the number 1");
    if (version.value != 1)
        fail(QUERN_TEXT("core", "The recipe %1 is of version %2; this program reads version 1."), source,
             version.value.dump());
    Recipe recipe;
    if (read.contains("name"))
        recipe.name = top.at("name").text();
    if (read.contains("preset"))
        recipe.preset = presetFrom(top.at("preset"));
    readMethod(top, recipe);
    if (read.contains("rewrites"))
        recipe.rewrites = rewritesFrom(top.at("rewrites"));
    if (read.contains("rules"))
        recipe.rules = rulesFrom(top.at("rules"));
    if (read.contains("sequential"))
        recipe.sequential = settingsFrom(top.at("sequential"), "sequential", kSequentialParams);
    return recipe;
}

std::string toJson(const Recipe& recipe, int indent)
{
    Json json {{"quern_recipe", 1}};
    if (!recipe.name.empty())
        json["name"] = recipe.name;
    if (recipe.preset) {
        json["preset"] = recipe.preset->name;
        if (recipe.method)
            json["method"] = recipe.method->name;
        for (const auto& [name, value] : recipe.settings)
            json["settings"][name] = value;
    }
    for (const RewriteChoice& choice : recipe.rewrites)
        json["rewrites"].push_back(toJson(choice));
    if (recipe.sequential) {
        json["sequential"] = Json::object();
        for (const auto& [name, value] : *recipe.sequential)
            json["sequential"][name] = value;
    }
    json["rules"] = Json::array();
    for (const Rule& rule : recipe.rules)
        json["rules"].push_back(toJson(rule));
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

bool matches(const Rule& rule, std::string_view tensorName)
{
    return Pattern(rule.pattern).matches(tensorName);
}

const Quantizer& usualMethod(const BlockFormat& format, bool moments)
{
    const Quantizer& best = *findQuantizer("gptq+descent");
    return moments && best.supports(format) ? best : *findQuantizer("nearest");
}

Needs needsOf(const Recipe& recipe)
{
    Needs most = recipe.method ? recipe.method->needs : recipe.preset ? Needs::SecondMoments : Needs::Nothing;
    for (const Rule& rule : recipe.rules)
        if (rule.choice.quantizer)
            most = std::max(most, rule.choice.quantizer->needs);
    for (const RewriteChoice& choice : recipe.rewrites)
        most = std::max(most, choice.rewrite->uses);
    return most;
}

} // namespace quern
