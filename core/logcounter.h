#pragma once

#include "core/loghistogram.h"

#include <array>

namespace quern {

// Counts values for a histogram, fast: in tables of its own that values take in turn, so that equal ones in a row need
// not wait for each other. They are added to the histogram's counts in the end.
class LogCounter {
public:
    explicit LogCounter(std::vector<std::uint64_t>& counts); // kBins
    ~LogCounter() { flush(); }
    LogCounter(const LogCounter&) = delete;
    LogCounter& operator=(const LogCounter&) = delete;

    bool add(const float* x, long n); // whether all are finite; others are counted too

private:
    static constexpr std::size_t kTables = 4;

    void flush();

    std::vector<std::uint64_t>& m_counts;
    std::array<std::uint32_t, LogHistogram::kBins * kTables> m_tables {}; // those of one bin beside each other
    std::uint32_t m_room = UINT32_MAX;                                    // values that may come before a flush
};

} // namespace quern
