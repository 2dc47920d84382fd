#pragma once

#include "core/rows.h"

#include <array>

namespace quern {

// Weights that share a code, and what their errors e cost: e B eᵀ, B symmetric and positive definite.
class Metric {
public:
    static constexpr std::size_t kLargest = 8; // weights that share a code
    using Values = std::array<float, kLargest>;

    // b: rows of B, `size` values each, `stride` apart.
    Metric(const float* b, long stride, long size);

    float cost(const Values& errors) const;

    // Stores in the code that begins at `column` values c near x that make (x - c) B (x - c)ᵀ small; x becomes c. The
    // best ones for the diagonal of B are improved on by minimising upper bounds that touch the cost at c (Lange et al.
    // 2000, optimization transfer): the sums of the rows of |B| in place of B, around c + B (x - c) / sums.
    void place(const StoredRow& to, long column, Values& x) const;

    // The same from values `now` of the code, for slopes = e B of all errors that meet these weights: to values that
    // cost less. False if none are found; the code then is as it was.
    bool improve(const StoredRow& to, long column, Values& now, const Values& slopes) const;

private:
    Values times(const Values& x) const; // B x
    // Stores the values nearest to now + slopes / importance.
    Values placed(const StoredRow& to, long column, const Values& now, const Values& slopes,
                  const Values& importance) const;
    std::span<float> part(Values& x) const { return {x.data(), static_cast<std::size_t>(m_size)}; }
    // The same, if they cost less than `now`, which they replace then.
    bool take(const StoredRow& to, long column, Values& now, const Values& slopes, const Values& importance) const;
    Values difference(const Values& a, const Values& b) const;

    const float* m_b;
    long m_stride, m_size;
    Values m_diagonal {}, m_sums {};
};

} // namespace quern
