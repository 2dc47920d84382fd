#pragma once

#include "core/stats.h"

#include <bit>

namespace quern {

// How often values of any size occur, in bins that are the same for all such histograms, so that two can be added up:
// from 2^-24 to 2^24 on both sides of 0 every octave [2^e, 2^(e+1)) has 16 bins of equal width; one bin in the middle
// holds what is nearer to 0, one at each end what is larger. Nothing is left out.
struct LogHistogram {
    static constexpr int kSmallest = -24, kLargest = 24, kSteps = 16; // exponents; bins of an octave
    static constexpr std::size_t kMiddle = (kLargest - kSmallest) * kSteps + 1;
    static constexpr std::size_t kBins = 2 * kMiddle + 1;

    std::vector<std::uint64_t> counts; // kBins, in order of the values; empty: nothing is known

    // value: infinite ones and those that are no numbers fall into the bins at the ends.
    static std::uint32_t bin(float value)
    {
        constexpr int kFirst = (127 + kSmallest) * kSteps, kShift = 23 - std::countr_zero(unsigned {kSteps});
        constexpr int kMiddle = LogHistogram::kMiddle;
        const auto bits = std::bit_cast<std::uint32_t>(value);
        const int place = static_cast<int>((bits & 0x7FFFFFFFU) >> kShift) - kFirst + 1;
        const int step = place < 0 ? 0 : place > kMiddle ? kMiddle : place;
        const int sign = static_cast<int>(bits) >> 31; // all ones or none: no branch, which signs would lead astray
        return static_cast<std::uint32_t>(kMiddle + ((step ^ sign) - sign));
    }
    // Bin i holds values between edge(i) and edge(i + 1); minus and plus infinity at the ends.
    static double edge(std::size_t i);

    std::uint64_t total() const;
    void merge(const LogHistogram& other); // of which one or both may be empty

    // The value below which a share of all values lies, in [0, 1]; values are taken as evenly spread within their bin.
    double quantile(double share) const;

    // The same counts in bins of equal width, for a plot: those of a bin are spread evenly over its width. Every value
    // is counted once; what lies outside [low, high] in below and above.
    Histogram evenly(double low, double high, int bins) const;

private:
    double below(double value) const; // how many, the bin that holds it in part
};

} // namespace quern
