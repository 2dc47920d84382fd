#pragma once

#include "core/trial.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace quern {

// Twice the values of E2M1, the four-bit float of MXFP4 and NVFP4 (OCP Microscaling Formats 1.0, table 5.3.3).
constexpr std::array<std::int8_t, 16> kTwiceE2M1 {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

constexpr std::array<std::uint8_t, 25> kCodesOfTwiceE2M1 = [] {
    std::array<std::uint8_t, 25> codes {};
    for (std::size_t code = kTwiceE2M1.size(); code-- > 0;)
        codes[std::size_t {12} + static_cast<std::size_t>(kTwiceE2M1[code])] = static_cast<std::uint8_t>(code);
    return codes;
}();

// v: one of them
constexpr int codeOfTwiceE2M1(int v)
{
    return kCodesOfTwiceE2M1[std::size_t {12} + static_cast<std::size_t>(v)];
}

// The same as codes of a Trial.
struct Fp4 {
    static constexpr float low = -12, high = 12;

    static constexpr int levels() { return 15; }
    static float nearest(float t)
    {
        const float magnitude = std::abs(t);
        const float fine = roundedWithin(magnitude, 0.0f, 4.0f); // steps of 1, then of 2 and 4
        const float value = fine + (magnitude > 5.0f ? 2.0f : 0.0f) + (magnitude > 7.0f ? 2.0f : 0.0f)
            + (magnitude > 10.0f ? 4.0f : 0.0f);
        return t < 0.0f ? -value : value;
    }
};

} // namespace quern
