#pragma once

#include "core/merger.h"
#include "core/progress.h"
#include "core/tokentable.h"

#include <array>
#include <bitset>

namespace quern {

// SentencePiece's byte-pair encoding (Kudo and Richardson 2018): of all neighbours whose concatenation is a token,
// those of the highest score become one, until there are none left. A character that is no token is written as its
// bytes.
class ScorePairs {
public:
    // table: outlives this. Bytes that are no tokens are written as the unknown one.
    explicit ScorePairs(const TokenTable& table);

    // text: less than 4 GiB, spaces already written as kSpace; need not be UTF-8.
    void encode(std::string_view text, std::vector<int>& tokens, const Progress& progress) const;

    static constexpr std::string_view kSpace = "\u2581"; // how vocabularies write a space

private:
    void encodeWord(std::string_view word, Merger<std::string_view>& merger, std::vector<int>& tokens) const;

    const TokenTable* m_table;
    std::size_t m_longest = 0; // bytes of a token
    std::array<int, 256> m_bytes {};
    // Bytes that come before kSpace within a token. After any other, kSpace begins a word: nothing merges across.
    std::bitset<256> m_beforeSpace;
};

} // namespace quern
