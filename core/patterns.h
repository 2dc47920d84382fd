#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

namespace quern {

// How often each bit pattern of 8 or 16 bits occurs. At most 2^32 - 1 of one pattern per four counts.
template <typename Bits>
class PatternCounts {
public:
    // Equal neighbours go to different tables: a counter that was just written is not read back at once, which would
    // stall (1.6 times as fast as one table on weights that are often 0).
    void add(const std::byte* bytes, long n)
    {
        constexpr long kTogether = 8 / sizeof(Bits);
        long i = 0;
        for (; i + kTogether <= n; i += kTogether) {
            std::array<Bits, kTogether> some;
            std::memcpy(some.data(), bytes + static_cast<std::size_t>(i) * sizeof(Bits), sizeof some);
            for (std::size_t k = 0; k < some.size(); ++k)
                ++m_tables[k % kTables][some[k]];
        }
        for (; i < n; ++i) {
            Bits one;
            std::memcpy(&one, bytes + static_cast<std::size_t>(i) * sizeof(Bits), sizeof one);
            ++m_tables[0][one];
        }
    }

    std::vector<std::uint64_t> totals() const
    {
        std::vector<std::uint64_t> sums(kPatterns);
        for (const auto& table : m_tables)
            std::ranges::transform(sums, table, sums.begin(), std::plus());
        return sums;
    }

private:
    static constexpr std::size_t kPatterns = std::size_t {1} << (8 * sizeof(Bits));
    static constexpr std::size_t kTables = 2;
    std::array<std::vector<std::uint32_t>, kTables> m_tables {std::vector<std::uint32_t>(kPatterns),
                                                              std::vector<std::uint32_t>(kPatterns)};
};

// Largest magnitudes of a format of 8 or 16 bits a value. In sign-and-magnitude formats (all floating ones) the bits
// below the sign are in the order of the magnitudes, so those are compared as integers; others go through a table.
template <typename Bits>
class Magnitudes {
public:
    explicit Magnitudes(std::span<const float> values)
        : m_values(values)
    {
        const std::size_t half = values.size() / 2;
        const auto ordered
            = [&](std::size_t i) { return values[i] == -values[i + half] && (i == 0 || values[i] > values[i - 1]); };
        while (m_finite < half && std::isfinite(values[m_finite]))
            ++m_finite;
        for (std::size_t i = 0; i < m_finite && m_signed; ++i)
            m_signed = ordered(i);
        for (std::size_t i = m_finite; i < half && m_signed; ++i)
            m_signed = !std::isfinite(values[i]) && !std::isfinite(values[i + half]);
        if (m_signed)
            return;
        std::vector<float> sizes; // magnitudes, ascending; a rank stands for one
        for (const float v : values)
            sizes.push_back(std::isfinite(v) ? std::abs(v) : 0.0F);
        m_sizes = sizes;
        std::ranges::sort(m_sizes);
        for (const float v : sizes)
            m_ranks.push_back(static_cast<Bits>(std::ranges::lower_bound(m_sizes, v) - m_sizes.begin()));
    }

    // Enters larger magnitudes of a row in columns; returns the largest of the row. Both as what value() reads.
    Bits raise(std::span<Bits> columns, const std::byte* bytes) const
    {
        Bits largest = 0;
        const auto limit = static_cast<Bits>(std::min<std::size_t>(m_finite, mask()));
        const bool all = m_finite > mask(); // no pattern stands for infinity
        for (std::size_t c = 0; c < columns.size(); ++c) {
            Bits bits;
            std::memcpy(&bits, bytes + c * sizeof(Bits), sizeof bits);
            if (m_signed) {
                bits = static_cast<Bits>(bits & mask());
                bits = all || bits < limit ? bits : Bits {0};
            } else {
                bits = m_ranks[bits];
            }
            columns[c] = std::max(columns[c], bits);
            largest = std::max(largest, bits);
        }
        return largest;
    }

    float value(Bits bits) const { return m_signed ? m_values[bits] : m_sizes[bits]; }

private:
    static constexpr Bits mask() { return static_cast<Bits>(~Bits {0}) >> 1; }

    std::span<const float> m_values;
    std::size_t m_finite = 0; // patterns below this, without sign, are finite
    bool m_signed = true;
    std::vector<float> m_sizes;
    std::vector<Bits> m_ranks;
};

} // namespace quern
