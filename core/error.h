#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// Marks a message for translation. Core stays free of Qt: lupdate finds the texts through
// -tr-function-alias QT_TRANSLATE_NOOP+=QUERN_TEXT, the app looks them up when it shows them.
#define QUERN_TEXT(context, text) text

namespace quern {

// Something the user can act on: a damaged file, a recipe that does not fit the model, a full disk.
// Never used for mistakes in our own code; those are assertions.
class Error : public std::runtime_error {
public:
    Error(const char* text, std::vector<std::string> args);

    const char* text() const { return m_text; }                     // source text with %1, %2, ...
    const std::vector<std::string>& args() const { return m_args; } // never translated

private:
    const char* m_text;
    std::vector<std::string> m_args;
};

std::string
toText(std::string_view value); // control characters and invalid UTF-8 are shown as \\xNN, long text is shortened
std::string toText(double value);
template <typename T>
requires std::is_integral_v<T> std::string toText(T value)
{
    return std::to_string(value);
}

// fail(QUERN_TEXT("core", "Tensor %1 has %2 columns; %3 needs a multiple of %4."), name, cols, ...);
// Tone: what was found, what was expected, where (file, tensor, byte), what it may mean.
template <typename... Args>
[[noreturn]] void fail(const char* text, const Args&... args)
{
    throw Error(text, {toText(args)...});
}

// The same as a text, for what is odd but no error.
template <typename... Args>
std::string sentence(const char* text, const Args&... args)
{
    return Error(text, {toText(args)...}).what();
}

} // namespace quern
