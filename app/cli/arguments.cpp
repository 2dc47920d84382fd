#include "app/cli/arguments.h"

#include <algorithm>
#include <charconv>

Arguments::Arguments(std::span<const std::string_view> given, std::span<const Option> options,
                     std::span<const std::string_view> repeatable)
{
    bool optionsEnded = false;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string_view word = given[i];
        if (optionsEnded || word.size() < 2 || word.front() != '-') {
            m_positional.emplace_back(word);
            continue;
        }
        if (word == "--") {
            optionsEnded = true;
            continue;
        }
        const auto equals = word.starts_with("--") ? word.find_first_of("=:") : std::string_view::npos;
        const std::string_view name = word.substr(0, equals);
        const auto option
            = std::ranges::find_if(options, [&](const Option& o) { return o.name == name || o.brief == name; });
        const bool colon = equals != std::string_view::npos && word[equals] == ':';
        if (option == options.end() || (colon && !option->attached))
            throw WrongUsage("unknown option " + std::string(name));
        const bool attached = equals != std::string_view::npos;
        if (!option->value && attached)
            throw WrongUsage("the option " + std::string(name) + " takes no value");
        if (option->value && !option->attached && !attached && i + 1 == given.size())
            throw WrongUsage("the option " + std::string(name) + " lacks its " + option->value);
        const std::string_view value = attached  ? word.substr(equals + 1)
            : option->value && !option->attached ? given[++i]
                                                 : std::string_view();
        take(option->name, value, std::ranges::find(repeatable, option->name) != repeatable.end());
    }
}

void Arguments::take(std::string_view name, std::string_view value, bool repeatable)
{
    std::vector<std::string>& values = m_values[std::string(name)];
    if (!values.empty() && !repeatable)
        throw WrongUsage("the option " + std::string(name) + " is given twice");
    values.emplace_back(value);
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const
{
    const auto it = m_values.find(name);
    return it == m_values.end() ? std::string(otherwise) : it->second.front();
}

std::vector<std::string> Arguments::all(std::string_view name) const
{
    const auto it = m_values.find(name);
    return it == m_values.end() ? std::vector<std::string> {} : it->second;
}

long Arguments::number(std::string_view name, long least, long most, long otherwise) const
{
    if (!has(name))
        return otherwise;
    const std::string given = text(name);
    long value = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size() || value < least || value > most)
        throw WrongUsage("the option " + std::string(name) + " needs a number from " + std::to_string(least) + " to "
                         + std::to_string(most) + ", not " + given);
    return value;
}
