#pragma once

#include <array>
#include <cstdint>

namespace quern {

// The 16 values of IQ4_NL and IQ4_XS, denser around 0; found by k-means on real weights (llama.cpp, pull request 4861).
constexpr std::array<std::int8_t, 16> kIq4Values {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

// Which of them is nearest to t; the lower one of two that are equally near.
constexpr int nearestIq4(float t)
{
    int code = 0;
    for (int i = 0; i + 1 < 16; ++i)
        code += t > 0.5f * static_cast<float>(kIq4Values[i] + kIq4Values[i + 1]);
    return code;
}

} // namespace quern
