#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace quern {

// Picks tensors by name: a glob ('*' any text, '?' one character) that fits the whole name, or a regular expression
// between slashes ("/attn_[qk]/", Perl's syntax) that is found somewhere in it. Safe for patterns from strangers: time
// and memory are bounded.
class Pattern {
public:
    explicit Pattern(std::string_view text); // throws Error: too long, or no regular expression
    ~Pattern();
    Pattern(Pattern&&) noexcept;
    Pattern& operator=(Pattern&&) noexcept;

    bool matches(std::string_view name) const; // throws Error if the expression takes too many steps
    bool wildcard() const;                     // false: names one tensor

private:
    struct Expression;

    std::string m_text;
    std::unique_ptr<Expression> m_expression; // null: a glob
};

} // namespace quern
