#include "core/tokenizerfile.h"

#include "core/error.h"
#include "core/jsontext.h"
#include "core/mappedfile.h"
#include "core/utf8.h"

#include <nlohmann/json.hpp>

#include <charconv>

namespace quern {
namespace {

using Json = nlohmann::json;

// A JSON value with its place, for messages: "model.vocab".
class Value {
public:
    Value(const Json& json, std::string place, const std::string& file)
        : m_json(json)
        , m_place(std::move(place))
        , m_file(file)
    {
    }

    const Json& json() const { return m_json; }

    // Empty if absent or null.
    std::optional<Value> find(const char* key) const
    {
        if (!m_json.is_object())
            wrong("an object");
        const auto it = m_json.find(key);
        if (it == m_json.end() || it->is_null())
            return {};
        return Value(*it, m_place.empty() ? key : m_place + "." + key, m_file);
    }

    Value at(const char* key) const
    {
        if (auto value = find(key))
            return *value;
        fail(QUERN_TEXT("core", "The file %1 has no %2%3."), m_file, m_place.empty() ? "" : m_place + ".", key);
    }

    const std::string& text() const
    {
        if (!m_json.is_string())
            wrong("a text");
        return m_json.get_ref<const std::string&>();
    }

    bool flag() const
    {
        if (!m_json.is_boolean())
            wrong("true or false");
        return m_json.get<bool>();
    }

    static bool isInteger(const Json& json)
    {
        return json.is_number_integer()
            && (!json.is_number_unsigned() || json.get<std::uint64_t>() <= std::uint64_t {INT64_MAX});
    }

    std::int64_t integer() const
    {
        if (!isInteger(m_json))
            wrong("a whole number");
        return m_json.get<std::int64_t>();
    }

    // Of a list.
    Value item(std::size_t i) const { return {m_json[i], m_place + "[" + std::to_string(i) + "]", m_file}; }

    std::vector<Value> list() const
    {
        if (!m_json.is_array())
            wrong("a list");
        std::vector<Value> values;
        values.reserve(m_json.size());
        for (std::size_t i = 0; i < m_json.size(); ++i)
            values.push_back(item(i));
        return values;
    }

    [[noreturn]] void wrong(const char* expected) const
    {
        fail(QUERN_TEXT("core", "The file %1 has a value of type %2 where %3 should be %4."), m_file,
             m_json.type_name(), m_place.empty() ? "the whole" : m_place, expected);
    }

private:
    const Json& m_json;
    std::string m_place;
    const std::string& m_file;
};

Json parsed(const std::filesystem::path& path)
{
    try {
        return Json::parse(jsonText(path, kLargestTokenizer));
    } catch (const Json::parse_error& error) {
        failJson(path.string(), error.byte);
    } catch (const Json::exception&) { // numbers too large for a double
        fail(QUERN_TEXT("core", "%1 holds a number that is too large to be one of a tokenizer."), path.string());
    }
}

std::string textOr(const Value& object, const char* key, const char* otherwise)
{
    const auto value = object.find(key);
    return value ? value->text() : otherwise;
}

bool flagOr(const Value& object, const char* key, bool otherwise)
{
    const auto value = object.find(key);
    return value ? value->flag() : otherwise;
}

// A pattern is {"Regex": "..."} or {"String": "..."}.
std::string pattern(const Value& object)
{
    const Value pattern = object.at("pattern");
    return pattern.find("Regex") ? pattern.at("Regex").text() : pattern.at("String").text();
}

std::string metaspaceScheme(const Value& step)
{
    if (const auto scheme = step.find("prepend_scheme"))
        return scheme->text();
    return flagOr(step, "add_prefix_space", true) ? "always" : "never";
}

std::string detail(const Value& step, const std::string& type)
{
    if (type == "Split")
        return pattern(step);
    if (type == "ByteLevel")
        return flagOr(step, "use_regex", true) ? "pattern" : "";
    if (type == "Digits")
        return flagOr(step, "individual_digits", false) ? "individual" : "";
    if (type == "Prepend")
        return textOr(step, "prepend", "");
    if (type == "Replace")
        return textOr(step, "content", "");
    return type == "Metaspace" ? metaspaceScheme(step) : std::string();
}

// Each match of the pattern becomes a piece of its own; what lies between is kept or, by these patterns, empty.
bool isolates(const Value& split)
{
    const std::string behavior = textOr(split, "behavior", "Isolated");
    return flagOr(split, "invert", false) ? behavior == "Removed" : behavior == "Isolated";
}

// Depth is bounded by that of the file.
void appendSteps(const Value& step, const char* parts, std::vector<TokenizerStep>& steps)
{
    const std::string& type = step.at("type").text();
    if (type == "Sequence") {
        for (const Value& part : step.at(parts).list())
            appendSteps(part, parts, steps);
    } else if (type == "Split" && !isolates(step)) {
        steps.push_back({type + " " + textOr(step, "behavior", "Isolated"), pattern(step)});
    } else {
        steps.push_back({type, detail(step, type)});
    }
}

// A merge is "left right" or ["left", "right"]; empty if it is neither.
std::optional<std::pair<std::string, std::string>> merge(const Json& value)
{
    if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string())
        return std::pair(value[0].get<std::string>(), value[1].get<std::string>());
    if (!value.is_string())
        return {};
    const auto& both = value.get_ref<const std::string&>();
    const auto space = both.find(' ', 1);
    if (both.empty() || space == std::string::npos || space + 1 == both.size())
        return {};
    return std::pair(both.substr(0, space), both.substr(space + 1));
}

// Places for messages are made where one is needed: there are hundreds of thousands of tokens and merges.
void readBytePairs(const Value& model, TokenizerFile& file, const std::string& name)
{
    const Value vocabulary = model.at("vocab");
    if (!vocabulary.json().is_object())
        vocabulary.wrong("an object");
    file.vocabulary.reserve(vocabulary.json().size());
    for (const auto& [text, number] : vocabulary.json().items())
        file.vocabulary.emplace_back(text,
                                     Value::isInteger(number) ? number.get<std::int64_t>()
                                                              : Value(number, "model.vocab." + text, name).integer());
    const auto merges = model.find("merges");
    if (!merges)
        return;
    if (!merges->json().is_array())
        merges->wrong("a list");
    file.merges.reserve(merges->json().size());
    for (const Json& value : merges->json()) {
        auto pair = merge(value);
        if (!pair)
            merges->item(file.merges.size()).wrong("two tokens, as a pair or with a space between them");
        file.merges.push_back(std::move(*pair));
    }
}

std::string specialToken(const std::vector<Value>& sequence, bool first)
{
    if (sequence.size() < 2)
        return {};
    const auto special = (first ? sequence.front() : sequence.back()).find("SpecialToken");
    return special ? special->at("id").text() : std::string();
}

void readTemplate(const Value& processor, TokenizerFile& file)
{
    const std::string& type = processor.at("type").text();
    if (type == "Sequence") {
        for (const Value& part : processor.at("processors").list())
            readTemplate(part, file);
    } else if (type == "TemplateProcessing") {
        const std::vector<Value> single = processor.at("single").list();
        file.hasTemplate = true;
        file.first = specialToken(single, true);
        file.last = specialToken(single, false);
    }
}

AddedToken addedToken(const Value& value)
{
    return {value.at("id").integer(), value.at("content").text(), flagOr(value, "special", false)};
}

// A special token is its text, or an object with it.
std::optional<std::string> specialText(const Value& value)
{
    if (value.json().is_object())
        return value.at("content").text();
    return value.json().is_string() ? std::optional(value.text()) : std::nullopt;
}

void appendTemplates(const Value& value, std::vector<std::pair<std::string, std::string>>& templates)
{
    if (value.json().is_string()) {
        templates.emplace_back("default", value.text());
        return;
    }
    for (const Value& item : value.list())
        templates.emplace_back(item.at("name").text(), item.at("template").text());
}

std::int64_t numberOf(const std::string& key, const std::string& file)
{
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (error != std::errc() || end != key.data() + key.size())
        fail(QUERN_TEXT("core", "The file %1 lists the added token \"%2\", which is no number of a token."), file, key);
    return number;
}

void readSpecial(const Value& root, TokenizerConfig& config)
{
    for (const char* kind : {"bos", "eos", "unk", "sep", "pad", "cls", "mask"}) {
        const std::string name = kind;
        if (const auto token = root.find((name + "_token").c_str()))
            if (const auto text = specialText(*token))
                config.special[name] = *text;
        if (const auto adds = root.find(("add_" + name + "_token").c_str()))
            config.adds[name] = adds->flag();
    }
}

std::string jinjaText(const std::filesystem::path& path)
{
    const auto file = MappedFile::open(path);
    if (file->bytes().size() > kLargestConfig)
        fail(QUERN_TEXT("core", "%1 has %2 bytes; a chat template has a few thousand."), path.string(),
             file->bytes().size());
    return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

void readChatTemplate(const std::filesystem::path& folder, const Value* root, TokenizerConfig& config)
{
    if (const auto value = root ? root->find("chat_template") : std::nullopt) {
        appendTemplates(*value, config.chatTemplates);
    } else if (const auto jinja = folder / "chat_template.jinja"; std::filesystem::is_regular_file(jinja)) {
        config.chatTemplates.emplace_back("default", jinjaText(jinja));
    } else if (const auto json = folder / "chat_template.json"; std::filesystem::is_regular_file(json)) {
        const Json file = parsed(json);
        const std::string name = json.string();
        if (const auto inside = Value(file, "", name).find("chat_template"))
            appendTemplates(*inside, config.chatTemplates);
    }
}

} // namespace

TokenizerFile readTokenizerFile(const std::filesystem::path& path)
{
    const Json json = parsed(path);
    const std::string name = path.string();
    const Value root(json, "", name);
    const Value model = root.at("model");

    TokenizerFile file;
    file.model = textOr(model, "type", "BPE");
    file.byteFallback = flagOr(model, "byte_fallback", false);
    file.ignoreMerges = flagOr(model, "ignore_merges", false);
    if (file.model == "BPE") {
        file.unknown = textOr(model, "unk_token", "");
        file.affixes = textOr(model, "continuing_subword_prefix", "") + textOr(model, "end_of_word_suffix", "");
        readBytePairs(model, file, name);
    }
    if (const auto added = root.find("added_tokens"))
        for (const Value& token : added->list())
            file.added.push_back(addedToken(token));
    if (const auto normalizer = root.find("normalizer"))
        appendSteps(*normalizer, "normalizers", file.normalizer);
    if (const auto preTokenizer = root.find("pre_tokenizer"))
        appendSteps(*preTokenizer, "pretokenizers", file.preTokenizer);
    if (const auto processor = root.find("post_processor"))
        readTemplate(*processor, file);
    return file;
}

TokenizerConfig readTokenizerConfig(const std::filesystem::path& folder)
{
    TokenizerConfig config;
    const std::filesystem::path path = folder / "tokenizer_config.json";
    if (!std::filesystem::is_regular_file(path)) {
        readChatTemplate(folder, nullptr, config);
        return config;
    }
    const Json json = parsed(path);
    const std::string name = path.string();
    const Value root(json, "", name);
    readSpecial(root, config);
    if (const auto space = root.find("add_prefix_space"))
        config.addPrefixSpace = space->flag();
    if (const auto added = root.find("added_tokens_decoder")) {
        if (!added->json().is_object())
            added->wrong("an object");
        for (const auto& [number, token] : added->json().items()) {
            const Value value(token, "added_tokens_decoder." + number, name);
            config.added.push_back(
                {numberOf(number, name), value.at("content").text(), flagOr(value, "special", false)});
        }
    }
    readChatTemplate(folder, &root, config);
    return config;
}

std::vector<AddedToken> readAddedTokens(const std::filesystem::path& path)
{
    const Json json = parsed(path);
    const std::string name = path.string();
    const Value root(json, "", name);
    if (!json.is_object())
        root.wrong("an object");
    std::vector<AddedToken> added;
    for (const auto& [text, number] : json.items())
        added.push_back({Value(number, text, name).integer(), text, false});
    return added;
}

} // namespace quern
