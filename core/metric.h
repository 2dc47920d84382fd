#pragma once

#include "core/blockformat.h"

#include <array>

namespace quern {

// Weights that share a code, at one place of many rows, and what their errors e cost: e B eᵀ, B symmetric and positive
// definite.
class Metric {
public:
    static constexpr std::size_t kLargest = 8; // weights that share a code
    using Values = std::array<float, kLargest>;
    struct Code {
        std::byte* block;  // that holds it
        Values values;     // of the weights
        Values slopes {};  // e B of all errors that meet them
        bool open = false; // set here: may yet move
    };

    // b: rows of B, `size` values each, `stride` apart.
    Metric(const float* b, long stride, long size);

    float cost(const Values& errors) const;

    // Stores in the codes that begin at value `first` of their blocks values c near x, theirs, that make (x - c) B
    // (x - c)ᵀ small; x becomes c. The best ones for the diagonal of B are improved on by minimising upper bounds that
    // touch the cost at c (Lange et al. 2000, optimization transfer): the sums of the rows of |B| in place of B, around
    // c + B (x - c) / sums.
    void place(const BlockFormat& format, int first, std::span<Code> codes) const;

    // The same from values that are stored, with slopes: to values that cost less. Codes for which none are found stay
    // as they are. If a code is nearest for the diagonal where it is, it is for the bound, which is no less.
    void improve(const BlockFormat& format, int first, std::span<Code> codes) const;

private:
    Values times(const Values& x) const; // B x
    bool lowers(const Code& from, const Values& to) const;
    // Stores the values nearest to values + slopes / importance in open codes, which become what it returns.
    std::vector<Values> placed(const BlockFormat& format, int first, std::span<Code> codes,
                               const Values& importance) const;
    // The same, if they cost less; else the code stays. Those stay open that moved, or that moves were refused to.
    enum class Open { Moved, Refused };
    void take(const BlockFormat& format, int first, std::span<Code> codes, const Values& importance, Open open) const;

    const float* m_b;
    long m_stride, m_size;
    Values m_diagonal {}, m_sums {};
};

} // namespace quern
