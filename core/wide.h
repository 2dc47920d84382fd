#pragma once

#include <cstdint>
#include <cstring>

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
using Wide = float __attribute__((vector_size(kWide * sizeof(float))));
using WideIntegers = std::int32_t __attribute__((vector_size(kWide * sizeof(std::int32_t))));
using WideBytes = std::int8_t __attribute__((vector_size(kWide)));

inline void fill(Wide& to, float value)
{
    to = Wide {} + value;
}

} // namespace quern
