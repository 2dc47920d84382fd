#pragma once

#include "core/tokentable.h"

namespace quern {

// Finds tokens that are looked for in a text before it is split into words: longer ones first, of equal length those
// with the smaller number; none across another.
class SpecialTokens {
public:
    // Tokens with any of the uses, and none of the others. table: outlives this.
    SpecialTokens(const TokenTable& table, unsigned uses, unsigned otherUses);

    struct Part {
        std::size_t begin;
        std::size_t size;
        int token; // -1: text
    };
    // What the text consists of, in order; white space that a token takes along is left out.
    std::vector<Part> parts(std::string_view text) const;

private:
    struct Group;
    struct Cutting;

    const TokenTable* m_table;
    std::vector<Group> m_groups; // by length, longest first
};

// Tokens of one length.
struct SpecialTokens::Group {
    std::size_t length = 0;
    std::string firstBytes; // each once
    std::unordered_map<std::string_view, int> tokens;
};

} // namespace quern
