#pragma once

#include <array>
#include <cstdint>
#include <utility>

namespace quern {

// The 16 values of IQ4_NL and IQ4_XS, denser around 0; found by k-means on real weights (llama.cpp, pull request 4861).
constexpr std::array<std::int8_t, 16> kIq4Values {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

// Between neighbours: halfway, and how far apart.
constexpr float iq4Middle(std::size_t k)
{
    return 0.5f * static_cast<float>(kIq4Values[k] + kIq4Values[k + 1]);
}
constexpr float iq4Step(std::size_t k)
{
    return static_cast<float>(kIq4Values[k + 1] - kIq4Values[k]);
}

// The value nearest to t; the lower one of two that are equally near. Adds up the steps that lie below t, written out
// for the compiler, which makes no vectors of loops within loops.
template <std::size_t... K>
constexpr float nearestIq4(float t, std::index_sequence<K...>)
{
    float value = kIq4Values.front();
    ((value += t > iq4Middle(K) ? iq4Step(K) : 0.0f), ...);
    return value;
}
constexpr float nearestIq4(float t)
{
    return nearestIq4(t, std::make_index_sequence<kIq4Values.size() - 1>());
}

// The code of each value, by value + 128.
constexpr std::array<std::uint8_t, 256> iq4CodesByValue()
{
    std::array<std::uint8_t, 256> codes {};
    for (std::size_t code = 0; code < kIq4Values.size(); ++code) {
        const int value = kIq4Values[code] + 128;
        codes[static_cast<std::size_t>(value)] = static_cast<std::uint8_t>(code);
    }
    return codes;
}
constexpr std::array<std::uint8_t, 256> kIq4Codes = iq4CodesByValue();
constexpr int iq4Code(int value)
{
    return kIq4Codes[static_cast<std::size_t>(value) + 128];
}

} // namespace quern
