#include "core/pattern.h"

#include "core/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace quern {
namespace {

constexpr std::size_t kLongest = 1000; // bytes of a pattern
constexpr std::uint32_t kMostSteps = 100'000;
constexpr std::uint32_t kMostMemory = 4096; // KiB

// Goes back to the last star only: at most pattern x name steps.
bool globMatches(std::string_view pattern, std::string_view name)
{
    std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

PCRE2_SPTR bytes(std::string_view text)
{
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string messageOf(int code)
{
    PCRE2_UCHAR text[256];
    const int length = pcre2_get_error_message(code, text, sizeof text);
    return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(length > 0 ? length : 0)};
}

} // namespace

struct Pattern::Expression {
    explicit Expression(std::string_view text)
    {
        int error = 0;
        PCRE2_SIZE at = 0;
        code.reset(
            pcre2_compile(bytes(text), text.size(), PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr));
        if (!code)
            fail(QUERN_TEXT("core", "The pattern /%1/ is no regular expression: %2, at character %3."), text,
                 messageOf(error), at + 1);
        data.reset(pcre2_match_data_create(1, nullptr));
        limits.reset(pcre2_match_context_create(nullptr));
        pcre2_set_match_limit(limits.get(), kMostSteps);
        pcre2_set_depth_limit(limits.get(), kMostSteps);
        pcre2_set_heap_limit(limits.get(), kMostMemory);
    }

    bool found(std::string_view text, std::string_view name) const
    {
        const int result = pcre2_match(code.get(), bytes(name), name.size(), 0, 0, data.get(), limits.get());
        if (result < 0 && result != PCRE2_ERROR_NOMATCH)
            fail(QUERN_TEXT("core",
                            "The pattern %1 could not be compared with the name %2: %3. A simpler pattern helps."),
                 text, name, messageOf(result));
        return result >= 0;
    }

    template <auto Free>
    struct Freed {
        template <typename T>
        void operator()(T* value) const
        {
            Free(value);
        }
    };
    std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
    std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>> data;
    std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>> limits;
};

Pattern::Pattern(std::string_view text)
    : m_text(text)
{
    if (text.empty())
        fail(QUERN_TEXT("core", "A pattern is empty; \"*\" stands for all tensors."));
    if (text.size() > kLongest)
        fail(QUERN_TEXT("core", "A pattern has %1 bytes; at most %2 are allowed."), text.size(), kLongest);
    if (text.size() > 1 && text.front() == '/' && text.back() == '/')
        m_expression = std::make_unique<Expression>(text.substr(1, text.size() - 2));
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::matches(std::string_view name) const
{
    return m_expression ? m_expression->found(m_text, name) : globMatches(m_text, name);
}

bool Pattern::wildcard() const
{
    return m_expression || m_text.find_first_of("*?") != std::string::npos;
}

} // namespace quern
