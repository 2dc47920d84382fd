#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace quern {

// Numbers as they lie in a file: little-endian, at any address. Blocks are made of these and of bytes, so that a
// mapped file can be read where it is.
static_assert(std::endian::native == std::endian::little);

template <typename T>
struct Stored {
    std::uint8_t bytes[sizeof(T)];

    operator T() const
    {
        T value;
        std::memcpy(&value, bytes, sizeof(T));
        return value;
    }
    Stored& operator=(T value)
    {
        std::memcpy(bytes, &value, sizeof(T));
        return *this;
    }
};

constexpr float kLargestHalf = 65504.0f;

// IEEE 754 binary16, exact. Signalling NaN become quiet, as in hardware.
constexpr float halfToFloat(std::uint16_t half)
{
    const std::uint32_t a = half & 0x7FFFu, sign = (half & 0x8000u) << 16;
    // Exponents move up by 127 - 15, those of infinity and NaN twice; subnormals count 2^-24.
    const std::uint32_t special = a >= 0x7C00 ? (112u << 23 | static_cast<std::uint32_t>(a > 0x7C00) << 22) : 0u;
    const std::uint32_t normal = ((a << 13) + (112u << 23) + (special & (112u << 23))) | (special & (1u << 22));
    const float subnormal = static_cast<float>(static_cast<std::int32_t>(a)) * 0x1p-24f;
    return std::bit_cast<float>(sign | (a < 0x400 ? std::bit_cast<std::uint32_t>(subnormal) : normal));
}

// Rounds to nearest, ties to even; from 65520 on infinite. NaN stay NaN of the same sign and become quiet.
constexpr std::uint16_t floatToHalf(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t a = bits & 0x7FFFFFFFu, sign = bits >> 16 & 0x8000u;
    const std::uint32_t normal = ((a + 0xFFFu + (a >> 13 & 1u)) >> 13) - (112u << 10);
    // In [0.5, 1) floats are 2^-24 apart: adding 0.5 rounds to a multiple of the smallest subnormal.
    const float small = a < 0x38800000u ? std::bit_cast<float>(a) : 0.0f;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(small + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    const std::uint32_t nan = 0x7E00u | (a >> 13 & 0x3FFu);
    const std::uint32_t finite = a < 0x38800000u ? subnormal : normal;
    const std::uint32_t rounded = a >= 0x477FF000u ? 0x7C00u : finite;
    return static_cast<std::uint16_t>(sign | (a > 0x7F800000u ? nan : rounded));
}

// The half nearest to `value` that is finite: what a scale may be.
constexpr float finiteHalf(float value)
{
    const float within = value > kLargestHalf ? kLargestHalf : value < -kLargestHalf ? -kLargestHalf : value;
    return halfToFloat(floatToHalf(within));
}

// A binary16 in a file.
struct Half {
    Stored<std::uint16_t> bits;

    operator float() const { return halfToFloat(bits); }
    Half& operator=(float value)
    {
        bits = floatToHalf(value);
        return *this;
    }
};

} // namespace quern
