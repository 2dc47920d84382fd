#include "core/logcounter.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

constexpr long kChunk = 64; // values whose bins are found at once

} // namespace

LogCounter::LogCounter(std::vector<std::uint64_t>& counts)
    : m_counts(counts)
{
    assert(counts.size() == LogHistogram::kBins);
}

bool LogCounter::add(const float* x, long n)
{
    std::array<std::uint32_t, kChunk> places;
    std::uint32_t largest = 0; // bits of a magnitude
    for (long first = 0; first < n; first += kChunk) {
        const long count = std::min(kChunk, n - first);
        if (m_room < kChunk)
            flush();
        m_room -= static_cast<std::uint32_t>(count);
        const auto place = [&](long i) {
            const float value = x[first + i];
            largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU);
            places[static_cast<std::size_t>(i)]
                = LogHistogram::bin(value) * std::uint32_t {kTables} + static_cast<std::uint32_t>(i) % kTables;
        };
        if (count == kChunk) // a length known to the compiler
            for (long i = 0; i < kChunk; ++i)
                place(i);
        else
            for (long i = 0; i < count; ++i)
                place(i);
        for (long i = 0; i < count; ++i)
            ++m_tables[places[static_cast<std::size_t>(i)]];
    }
    return largest < 0x7F800000U;
}

void LogCounter::flush()
{
    for (std::size_t bin = 0; bin < m_counts.size(); ++bin)
        for (std::size_t table = 0; table < kTables; ++table)
            m_counts[bin] += m_tables[bin * kTables + table];
    m_tables.fill(0);
    m_room = UINT32_MAX;
}

} // namespace quern
