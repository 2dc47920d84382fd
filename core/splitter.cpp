#include "core/splitter.h"

#include "core/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cassert>

namespace quern {
namespace {

template <auto Free>
struct Freed {
    template <typename T>
    void operator()(T* value) const
    {
        Free(value);
    }
};
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;

struct Class {
    std::string_view name;
    std::string_view members; // within brackets
};

// Each kind's byte of the outline, and its ASCII characters.
constexpr std::array kClasses {
    Class {R"(\p{L})",
           "\x81"
           "A-Za-z"},
    Class {R"(\p{U})",
           "\x81"
           "A-Z"},
    Class {R"(\p{l})",
           "\x81"
           "a-z"},
    Class {R"(\p{N})",
           "\x82"
           "0-9"},
    Class {R"(\p{M})", "\x83"},
    Class {R"(\p{P})",
           "\x84"
           R"(!-#%-*,-/:;?@\[\\\]_{})"},
    Class {R"(\p{S})",
           "\x85"
           R"($+<=>\^`|~)"},
    Class {R"(\p{A})", "\x8F"},
};
static_assert(outlineByte(CharacterKind::Letter) == '\x81' && outlineByte(CharacterKind::Symbol) == '\x85');

// The pattern with classes spelled out.
std::string onOutline(std::string_view pattern)
{
    std::string result;
    bool inside = false; // of brackets
    while (!pattern.empty()) {
        const auto found = std::ranges::find_if(kClasses, [&](const Class& c) { return pattern.starts_with(c.name); });
        if (found != kClasses.end()) {
            result += inside ? std::string(found->members) : '[' + std::string(found->members) + ']';
            pattern.remove_prefix(found->name.size());
            continue;
        }
        const std::size_t length = pattern.front() == '\\' ? 2 : 1;
        inside = pattern.front() == '[' || (inside && pattern.front() != ']');
        result += pattern.substr(0, length);
        pattern.remove_prefix(length);
    }
    return result;
}

PCRE2_SPTR bytesOf(std::string_view text)
{
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

// Runs one pattern over pieces of an outline.
class Cutter {
public:
    Cutter(const pcre2_code* code, std::size_t length)
        : m_code(code)
        , m_data(pcre2_match_data_create(1, nullptr))
        , m_limits(pcre2_match_context_create(nullptr))
    {
        // A match of our patterns goes over a piece a few times at most; the rest is for safety.
        constexpr std::size_t kSteps = 10'000'000;
        pcre2_set_match_limit(m_limits.get(), static_cast<std::uint32_t>(std::min(kSteps + 64 * length, ~0U + 0UL)));
    }

    void cut(std::string_view piece, std::vector<std::uint32_t>& lengths)
    {
        std::size_t done = 0;
        while (done < piece.size() && find(piece, done)) {
            const PCRE2_SIZE* match = pcre2_get_ovector_pointer(m_data.get());
            assert(match[1] > match[0]);
            if (match[0] > done)
                lengths.push_back(static_cast<std::uint32_t>(match[0] - done));
            lengths.push_back(static_cast<std::uint32_t>(match[1] - match[0]));
            done = match[1];
        }
        if (done < piece.size())
            lengths.push_back(static_cast<std::uint32_t>(piece.size() - done));
    }

private:
    bool find(std::string_view piece, std::size_t from)
    {
        const auto run = [&](std::uint32_t options) {
            return pcre2_match(m_code, bytesOf(piece), piece.size(), from, options, m_data.get(), m_limits.get());
        };
        int result = run(0);
        if (result == PCRE2_ERROR_JIT_STACKLIMIT)
            result = run(PCRE2_NO_JIT);
        if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
            std::array<PCRE2_UCHAR, 256> message {};
            pcre2_get_error_message(result, message.data(), message.size());
            fail(QUERN_TEXT("core", "The text cannot be split into words: %1."),
                 reinterpret_cast<const char*>(message.data()));
        }
        return result >= 0;
    }

    const pcre2_code* m_code;
    MatchData m_data;
    MatchContext m_limits;
};

// From characters to bytes.
void widen(std::string_view text, std::vector<std::uint32_t>& lengths)
{
    std::size_t at = 0;
    for (std::uint32_t& length : lengths) {
        const std::size_t begin = at;
        for (std::uint32_t i = 0; i < length; ++i)
            at += characterAt(text.substr(at)).bytes;
        length = static_cast<std::uint32_t>(at - begin);
    }
}

} // namespace

struct Splitter::Step {
    std::span<const CharacterRange> set;
    std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
};

Splitter::Splitter(const Split& split)
{
    for (const Cut& cut : split.cuts) {
        const std::string pattern = onOutline(cut.pattern);
        int error = 0;
        PCRE2_SIZE at = 0;
        Step step {cut.set, {}};
        step.code.reset(pcre2_compile(bytesOf(pattern), pattern.size(), PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                                      &error, &at, nullptr));
        assert(step.code);
        pcre2_jit_compile(step.code.get(), PCRE2_JIT_COMPLETE); // where there is no JIT, the pattern is interpreted
        m_steps.push_back(std::move(step));
    }
}

Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;

bool Splitter::pieces(std::string_view text, std::vector<std::uint32_t>& lengths) const
{
    std::string plain, special;
    if (!outline(text, plain))
        return false;
    lengths.assign(1, static_cast<std::uint32_t>(plain.size()));
    std::vector<std::uint32_t> before;
    for (const Step& step : m_steps) {
        if (!step.set.empty())
            outline(text, step.set, special);
        std::string_view rest = step.set.empty() ? plain : special;
        Cutter cutter(step.code.get(), rest.size());
        before.swap(lengths);
        lengths.clear();
        for (const std::uint32_t length : before) {
            cutter.cut(rest.substr(0, length), lengths);
            rest.remove_prefix(length);
        }
    }
    if (plain.size() < text.size())
        widen(text, lengths);
    return true;
}

} // namespace quern
