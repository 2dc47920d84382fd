#pragma once

#include "core/encode.h"

namespace quern {

// The scales and minima of Q4_K and Q5_K: 8 of each, in [0, 63], in 12 bytes. The first four are the low six bits of
// bytes 0 to 3 and 4 to 7. Of the last four, bytes 8 to 11 hold the low four bits (minimum in the high half), and the
// upper two bits of bytes 0 to 3 and 4 to 7 the rest.
struct SixBits {
    std::uint8_t bytes[12];

    int scale(int g) const { return g < 4 ? bytes[g] & 63 : (bytes[g + 4] & 15) | bytes[g - 4] >> 6 << 4; }
    int minimum(int g) const { return g < 4 ? bytes[g + 4] & 63 : bytes[g + 4] >> 4 | bytes[g] >> 6 << 4; }
    void set(int g, int scale, int minimum)
    {
        if (g < 4) {
            setBits(bytes[g], 0, 63, scale);
            setBits(bytes[g + 4], 0, 63, minimum);
        } else {
            bytes[g + 4] = static_cast<std::uint8_t>((scale & 15) | (minimum & 15) << 4);
            setBits(bytes[g - 4], 6, 3, scale >> 4);
            setBits(bytes[g], 6, 3, minimum >> 4);
        }
    }
};

// What Q4_K and Q5_K have in common: 8 groups of 32 weights.     x = d * s * q - dmin * m,  s and m in [0, 63].
struct SixBitGrids {
    static constexpr SharedRange kSteps {8, 0, 63};

    Half d, dmin;
    SixBits scales;

    Grid grid(int g) const
    {
        return {d * static_cast<float>(scales.scale(g)), -dmin * static_cast<float>(scales.minimum(g))};
    }
    Grid whole() const { return {d, -dmin}; }
    void setWhole(const Grid& whole)
    {
        d = whole.scale;
        dmin = -whole.offset;
    }
};

} // namespace quern
