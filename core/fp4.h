#pragma once

#include <array>
#include <cstdint>

namespace quern {

// Twice the values of E2M1, the four-bit float of MXFP4 and NVFP4 (OCP Microscaling Formats 1.0, table 5.3.3).
constexpr std::array<std::int8_t, 16> kTwiceE2M1 {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

} // namespace quern
