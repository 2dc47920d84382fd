#include "core/config.h"

#include "core/error.h"
#include "core/jsontext.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace quern {
namespace {

using Json = nlohmann::json;

const Json& json(const std::shared_ptr<const void>& object)
{
    return *static_cast<const Json*>(object.get());
}

const Json* found(const Json& object, std::string_view key)
{
    const auto it = object.find(key);
    return it == object.end() || it->is_null() ? nullptr : &*it;
}

// An integer that fits; JSON's own numbers go beyond.
bool isInteger(const Json& value)
{
    constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kLargest);
}

bool isNumber(const Json& value)
{
    return value.is_number() && std::isfinite(value.get<double>());
}

template <typename Is>
bool isListOf(const Json& value, Is is)
{
    return value.is_array() && std::all_of(value.begin(), value.end(), is);
}

} // namespace

Config::Config(std::shared_ptr<const void> object, std::string source, std::string place)
    : m_object(std::move(object))
    , m_source(std::move(source))
    , m_place(std::move(place))
{
}

Config Config::read(const std::filesystem::path& file)
{
    return fromJson(jsonText(file, kLargestConfig), file.string());
}

Config Config::fromJson(std::string_view text, std::string source)
{
    checkNesting(text, source);
    std::shared_ptr<const Json> value;
    try {
        value = std::make_shared<const Json>(Json::parse(text));
    } catch (const Json::parse_error& error) {
        failJson(source, error.byte);
    } catch (const Json::exception&) { // numbers too large for a double
        fail(QUERN_TEXT("core", "%1 holds a number that is too large to be one of a model."), source);
    }
    if (!value->is_object())
        fail(QUERN_TEXT("core", "%1 holds no JSON object; a model's settings are expected there."), source);
    return {std::move(value), std::move(source), ""};
}

bool Config::has(std::string_view key) const
{
    return found(json(m_object), key) != nullptr;
}

void Config::refuse(std::string_view key, std::string_view expected) const
{
    const Json* value = found(json(m_object), key);
    const std::string name = m_place + std::string(key);
    if (!value)
        fail(QUERN_TEXT("core", "%1 has no entry \"%2\"; %3 is expected there."), m_source, name, expected);
    const std::string shown = value->dump(-1, ' ', false, Json::error_handler_t::replace);
    fail(QUERN_TEXT("core", "%1: the entry \"%2\" is %3; %4 is expected there."), m_source, name, shown, expected);
}

std::int64_t Config::integer(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !isInteger(*value))
        refuse(key, "a whole number");
    return value->get<std::int64_t>();
}

std::int64_t Config::positive(std::string_view key) const
{
    const std::int64_t value = integer(key);
    if (value < 1)
        refuse(key, "a whole number of at least 1");
    return value;
}

double Config::number(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !isNumber(*value))
        refuse(key, "a number");
    return value->get<double>();
}

bool Config::flag(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !value->is_boolean())
        refuse(key, "true or false");
    return value->get<bool>();
}

std::string Config::text(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !value->is_string())
        refuse(key, "a text");
    return value->get<std::string>();
}

Config Config::object(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !value->is_object())
        refuse(key, "an object");
    return {std::shared_ptr<const void>(m_object, value), m_source, m_place + std::string(key) + '.'};
}

std::vector<std::int64_t> Config::integers(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (value && isInteger(*value))
        return {value->get<std::int64_t>()};
    if (!value || !isListOf(*value, isInteger))
        refuse(key, "a list of whole numbers");
    return value->get<std::vector<std::int64_t>>();
}

std::vector<double> Config::numbers(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !isListOf(*value, isNumber))
        refuse(key, "a list of numbers");
    return value->get<std::vector<double>>();
}

std::vector<std::string> Config::texts(std::string_view key) const
{
    const Json* value = found(json(m_object), key);
    if (!value || !isListOf(*value, [](const Json& item) { return item.is_string(); }))
        refuse(key, "a list of texts");
    return value->get<std::vector<std::string>>();
}

std::int64_t Config::integer(std::string_view key, std::int64_t absent) const
{
    return has(key) ? integer(key) : absent;
}

double Config::number(std::string_view key, double absent) const
{
    return has(key) ? number(key) : absent;
}

bool Config::flag(std::string_view key, bool absent) const
{
    return has(key) ? flag(key) : absent;
}

std::string Config::text(std::string_view key, std::string_view absent) const
{
    return has(key) ? text(key) : std::string(absent);
}

std::vector<std::string> Config::keys() const
{
    std::vector<std::string> names;
    for (const auto& [name, value] : json(m_object).items())
        names.push_back(name);
    return names;
}

} // namespace quern
