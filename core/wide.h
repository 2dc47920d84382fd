#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

namespace quern {

// 16 numbers as a vector of the compiler's (GCC and clang), which it splits where the machine's are shorter. For loops
// with a choice in the middle: of arrays GCC 12 makes branches there. Never passed by value, as how that is done
// depends on the machine.
constexpr int kWide = 16;
using Wide = float __attribute__((vector_size(kWide * sizeof(float))));
using WideIntegers = std::int32_t __attribute__((vector_size(kWide * sizeof(std::int32_t))));

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

inline constexpr WideIntegers kCounting {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Where the least number is; the first place of several.
inline std::int32_t firstOfLeast(const Wide& numbers, const WideIntegers& places)
{
    WideIntegers bits;
    std::memcpy(&bits, &numbers, sizeof(bits));
    const WideIntegers sorted = bits ^ ((bits >> 31) & 0x7FFFFFFF); // integers in the order of the numbers
    std::array<std::int32_t, kWide> keys, where;
    std::memcpy(keys.data(), &sorted, sizeof(sorted));
    std::memcpy(where.data(), &places, sizeof(places));
    std::int32_t least = keys[0], first = std::numeric_limits<std::int32_t>::max();
    for (const std::int32_t key : keys)
        least = std::min(least, key);
    for (std::size_t c = 0; c < kWide; ++c)
        first = std::min(first, keys[c] == least ? where[c] : first);
    return first;
}

} // namespace quern
