#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

namespace quern {

// As many numbers as the machine's vectors hold, as a vector of the compiler's (GCC and clang): for loops with a choice
// in the middle. Of arrays GCC 12 makes branches there, and of vectors longer than the machine's single numbers.
// Results must not depend on kWide. Never passed by value, as how that is done depends on the machine.
#if defined(__AVX512F__)
constexpr std::size_t kWide = 16;
#elif defined(__AVX__)
constexpr std::size_t kWide = 8;
#else
constexpr std::size_t kWide = 4;
#endif
constexpr std::size_t kWidest = 16;
using Wide = float __attribute__((vector_size(kWide * sizeof(float))));
using WideIntegers = std::int32_t __attribute__((vector_size(kWide * sizeof(std::int32_t))));
using WideBytes = std::int8_t __attribute__((vector_size(kWide)));

inline void load(Wide& to, const float* from)
{
    std::memcpy(&to, from, sizeof(to));
}

inline void store(float* to, const Wide& from)
{
    std::memcpy(to, &from, sizeof(from));
}

inline void fill(Wide& to, float value)
{
    to = Wide {} + value;
}

// first, first + 1, ...
inline void count(WideIntegers& to, std::int32_t first)
{
    constexpr std::array<std::int32_t, kWidest> kCounting {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    std::memcpy(&to, kCounting.data(), sizeof(to));
    to += first;
}

// Where the least number is; the first place of several.
template <std::size_t Count>
std::int32_t firstOfLeast(const float* numbers, const std::int32_t* places)
{
    std::array<std::int32_t, Count> keys; // integers in the order of the numbers
    std::memcpy(keys.data(), numbers, sizeof(keys));
    for (std::int32_t& key : keys)
        key ^= key >> 31 & 0x7FFFFFFF;
    std::int32_t least = keys[0], first = std::numeric_limits<std::int32_t>::max();
    for (const std::int32_t key : keys)
        least = std::min(least, key);
    for (std::size_t c = 0; c < Count; ++c)
        first = std::min(first, keys[c] == least ? places[c] : first);
    return first;
}

inline std::int32_t firstOfLeast(const Wide& numbers, const WideIntegers& places)
{
    std::array<float, kWide> copy;
    std::array<std::int32_t, kWide> where;
    std::memcpy(copy.data(), &numbers, sizeof(numbers));
    std::memcpy(where.data(), &places, sizeof(places));
    return firstOfLeast<kWide>(copy.data(), where.data());
}

} // namespace quern
