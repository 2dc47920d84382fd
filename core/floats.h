#pragma once

#include <cstdint>

namespace quern {

inline std::uint64_t bytesOfFloats(long count)
{
    return static_cast<std::uint64_t>(count) * sizeof(float);
}

} // namespace quern
