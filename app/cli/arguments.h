#pragma once

#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// Something is wrong with how the program was called: exit status 2.
class WrongUsage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Option {
    std::string_view name; // "--bins"
    const char* value;     // what it is called in the help; null: a flag
    const char* help;
    std::string_view brief = {}; // "-o"
    bool attached = false;       // the value is optional and follows a colon: "--name:value"
};

// What a command was called with.
class Arguments {
public:
    // Throws WrongUsage for unknown options, missing values and values given twice (but for `repeatable` options).
    Arguments(std::span<const std::string_view> given, std::span<const Option> options,
              std::span<const std::string_view> repeatable);

    const std::vector<std::string>& positional() const { return m_positional; }
    bool has(std::string_view name) const { return m_values.contains(name); }
    std::string text(std::string_view name, std::string_view otherwise = {}) const;
    std::vector<std::string> all(std::string_view name) const; // in the order given
    long number(std::string_view name, long least, long most, long otherwise) const;

private:
    void take(std::string_view name, std::string_view value, bool repeatable);

    std::vector<std::string> m_positional;
    std::map<std::string, std::vector<std::string>, std::less<>> m_values;
};
