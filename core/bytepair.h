#pragma once

#include "core/merger.h"
#include "core/metadata.h"
#include "core/progress.h"
#include "core/splitter.h"
#include "core/tokentable.h"

namespace quern {

// Byte-level byte-pair encoding (Radford et al. 2019): text is split into words; in each, the two neighbours whose
// merge comes first in the list become one, until no two in the list are left.
class BytePairs {
public:
    // table: outlives this. Throws Error where metadata hold no usable merges, or a split that is not known here.
    BytePairs(const Metadata& metadata, const TokenTable& table);

    // text: less than 4 GiB. What the vocabulary cannot write is left out, as llama.cpp does.
    void encode(std::string_view text, std::vector<int>& tokens, const Progress& progress) const;

private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };

    std::uint32_t symbol(const std::string& bytes);
    void readMerges(const std::vector<std::string>& merges);
    void write(std::uint32_t symbol, std::vector<int>& tokens) const;
    void encodeWord(std::string_view word, Merger<std::uint32_t>& merger, std::vector<int>& tokens) const;

    const TokenTable* m_table;
    Splitter m_splitter;
    bool m_ignoresMerges;
    // Symbols are what merges make of bytes, mostly tokens. Their numbers have nothing to do with those of tokens.
    std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> m_symbols; // by bytes; single ones first
    std::vector<int> m_tokens;                                                           // of a symbol; -1: no token
    std::unordered_map<std::uint32_t, std::vector<int>> m_parts; // of a symbol that is none: those of its spelling
    std::unordered_map<std::uint64_t, Merged<std::uint32_t>> m_merges; // of left and right symbol; in the list's order
};

} // namespace quern
