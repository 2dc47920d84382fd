#pragma once

#include "core/characters.h"

namespace quern {

// One cut: every match of the pattern becomes a piece, and so does what is left between two matches. Perl's syntax on
// an outline (core/characters.h), in which \p{L} \p{N} \p{M} \p{P} \p{S} are kinds of characters, \p{A} those of `set`,
// \p{U} and \p{l} letters that are not a to z, and not A to Z.
struct Cut {
    std::string_view pattern;
    std::span<const CharacterRange> set = {};
};

// How a byte-level tokenizer splits text before it merges, by the name that GGUF gives it (tokenizer.ggml.pre). Each
// cut works on the pieces of the one before.
struct Split {
    std::string_view name;
    std::span<const Cut> cuts;
    bool ignoresMerges = false; // a piece that is a token is not merged
    bool addsBos = false;       // where the file does not say
};

const Split* findSplit(std::string_view name); // null if unknown
std::span<const Split> splits();

} // namespace quern
