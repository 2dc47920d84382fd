#pragma once

#include "core/blockformat.h"
#include "core/codec.h"

namespace quern {

// Linear quantization: x = scale * (code - zero) + minimum, codes in [0, top].
//     Symmetric: zero is 2^(bits - 1) and minimum 0, so that code - zero is in [-2^(bits - 1), 2^(bits - 1) - 1]
//     Minimum:   zero is 0
//     ZeroPoint: minimum is 0 and zero an integer, so that 0 is represented exactly
struct AffineGrid {
    float scale = 0, minimum = 0;
    int zero = 0, top = 0;

    int code(float x) const { return shifted(x, scale == 0.0f ? 0.0f : 1.0f / scale) + zero; }
    float value(int code) const { return scale * static_cast<float>(code - zero) + minimum; }
    // code - zero of the point nearest to x.
    int shifted(float x, float codesPerUnit) const
    {
        const auto low = static_cast<float>(-zero), high = static_cast<float>(top - zero);
        return static_cast<int>(roundedWithin((x - minimum) * codesPerUnit, low, high));
    }
};

enum class Precision { Float, Half };

// The grid of the textbooks for values in [low, high]: from end to end, for ZeroPoint after the range was extended to
// contain 0. Symmetric: the end of larger magnitude becomes code 0, so the scale has the opposite sign of that end.
// Precision::Half: as blocks store it, scale and minimum rounded to FP16 before anything else follows from them.
constexpr AffineGrid affineGrid(const Affine& affine, float low, float high, Precision precision)
{
    const auto rounded = [&](float v) { return precision == Precision::Half ? finiteHalf(v) : v; };
    const int top = (1 << affine.bits) - 1, middle = 1 << (affine.bits - 1);
    const auto steps = static_cast<float>(top);
    if (affine.zero == Zero::Symmetric)
        return {rounded((-low > high ? low : high) / static_cast<float>(-middle)), 0.0f, middle, top};
    if (affine.zero == Zero::Minimum)
        return {rounded(high / steps - low / steps), rounded(low), 0, top};
    low = low < 0.0f ? low : 0.0f;
    high = high > 0.0f ? high : 0.0f;
    const float scale = rounded(high / steps - low / steps);
    const float zero = scale == 0.0f ? 0.0f : roundedWithin(-low / scale, 0.0f, steps);
    return {scale, 0.0f, static_cast<int>(zero), top};
}

// How blocks begin: an FP16 scale, then an FP16 minimum or the zero point in a byte.
inline void writeGrid(const Affine& affine, const AffineGrid& grid, std::byte* block)
{
    auto* halfs = reinterpret_cast<Half*>(block);
    halfs[0] = grid.scale;
    if (affine.zero == Zero::Minimum)
        halfs[1] = grid.minimum;
    else if (affine.zero == Zero::ZeroPoint)
        block[2] = static_cast<std::byte>(grid.zero);
}

// Codes of `Bits` bits side by side, least significant bits first: code i in bits [i * Bits, (i + 1) * Bits). Eight of
// them, first a byte each, are Bits bytes; pairs of fields close up by and by.
template <int Width, int Bits>
constexpr std::uint64_t lowerFields()
{
    std::uint64_t fields = 0;
    for (int at = 0; at < 64; at += 2 * Width)
        fields |= ((std::uint64_t {1} << Bits) - 1) << at;
    return fields;
}

template <int Width, int Bits>
constexpr std::uint64_t closed(std::uint64_t word)
{
    constexpr std::uint64_t kLower = lowerFields<Width, Bits>();
    return (word & kLower) | (word >> (Width - Bits) & kLower << Bits);
}

template <int Width, int Bits>
constexpr std::uint64_t opened(std::uint64_t word)
{
    constexpr std::uint64_t kLower = lowerFields<Width, Bits>();
    return (word & kLower) | (word & kLower << Bits) << (Width - Bits);
}

template <int Bits>
constexpr std::uint64_t packed(std::uint64_t eight)
{
    return closed<32, 4 * Bits>(closed<16, 2 * Bits>(closed<8, Bits>(eight)));
}

template <int Bits>
constexpr std::uint64_t unpacked(std::uint64_t word)
{
    return opened<8, Bits>(opened<16, 2 * Bits>(opened<32, 4 * Bits>(word)));
}

} // namespace quern
