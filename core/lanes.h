#pragma once

#include "core/wide.h"

#include <array>
#include <utility>

// 16 numbers side by side, as many vectors of the machine's as it takes. Each lane computes for itself, so results do
// not depend on how long those are.
namespace quern {

constexpr int kLanes = 16;
constexpr std::size_t kWides = kLanes / kWide;

// The answer to a comparison, for select.
struct Mask {
    std::array<WideIntegers, kWides> part;
};

struct Floats {
    std::array<Wide, kWides> part;

    Floats() = default;
    Floats(float all) // NOLINT(google-explicit-constructor): numbers mix with lanes as in formulas
    {
        for (auto& p : part)
            p = Wide {} + all;
    }
    static Floats load(const float* x)
    {
        Floats all;
        std::memcpy(&all.part, x, sizeof(all.part));
        return all;
    }
    void store(float* x) const { std::memcpy(x, &part, sizeof(part)); }
    float operator[](std::size_t lane) const { return part[lane / kWide][lane % kWide]; }
    void set(std::size_t lane, float value) { part[lane / kWide][lane % kWide] = value; }
};

#define QUERN_LANES(Result, op)                                                                                        \
    inline Result operator op(const Floats& a, const Floats& b)                                                        \
    {                                                                                                                  \
        Result result;                                                                                                 \
        for (std::size_t i = 0; i < kWides; ++i)                                                                       \
            result.part[i] = a.part[i] op b.part[i];                                                                   \
        return result;                                                                                                 \
    }
QUERN_LANES(Floats, +)
QUERN_LANES(Floats, -)
QUERN_LANES(Floats, *)
QUERN_LANES(Floats, /)
QUERN_LANES(Mask, >)
QUERN_LANES(Mask, <)
QUERN_LANES(Mask, ==)
#undef QUERN_LANES

inline Floats& operator+=(Floats& a, const Floats& b)
{
    return a = a + b;
}

inline Floats operator-(const Floats& a)
{
    return Floats(0.0f) - a;
}

// Lane by lane a where the mask says so, else b.
inline Floats select(const Mask& mask, const Floats& a, const Floats& b)
{
    Floats result;
    for (std::size_t i = 0; i < kWides; ++i)
        result.part[i] = mask.part[i] ? a.part[i] : b.part[i];
    return result;
}

// Nearest integers, ties to even, within [low, high], which are integers far smaller than 2^22. Bits of floats sort
// like integers, and integers have a maximum in every instruction set, which the compiler knows to use.
inline Floats nearestWithin(const Floats& t, float low, float high)
{
    constexpr float kShift = 12582912.0f; // 1.5 * 2^23: floats of this size are integers
    const Floats least = low + kShift, most = high + kShift;
    Floats result;
    for (std::size_t i = 0; i < kWides; ++i) {
        const auto lower = (WideIntegers)least.part[i], upper = (WideIntegers)most.part[i];
        auto bits = (WideIntegers)(t.part[i] + kShift);
        bits = bits > lower ? bits : lower;
        bits = bits < upper ? bits : upper;
        result.part[i] = (Wide)bits - kShift;
    }
    return result;
}

// finiteHalf (core/stored.h) of every lane; no number is NaN.
inline Floats finiteHalves(const Floats& x)
{
    constexpr std::int32_t kMagnitude = 0x7FFFFFFF, kLeastNormal = 0x38800000, kLargest = 0x477FE000;
    Floats result;
    for (std::size_t i = 0; i < kWides; ++i) {
        const auto bits = (WideIntegers)x.part[i];
        const WideIntegers magnitude = bits & kMagnitude;
        // Ties to even at 13 bits less; subnormals are multiples of 2^-24, as floats in [0.5, 1) are.
        const WideIntegers normal = (magnitude + 0xFFF + (magnitude >> 13 & 1)) & ~0x1FFF;
        const auto subnormal = (WideIntegers)(((Wide)magnitude + 0.5f) - 0.5f);
        WideIntegers rounded = magnitude < kLeastNormal ? subnormal : normal;
        rounded = magnitude < kLargest ? rounded : WideIntegers {} + kLargest;
        result.part[i] = (Wide)(rounded | (bits & ~kMagnitude));
    }
    return result;
}

// Of integers in [-128, 127].
inline void storeBytes(const Floats& x, std::int8_t* out)
{
    for (std::size_t i = 0; i < kWides; ++i) {
        const auto integers = __builtin_convertvector(x.part[i], WideIntegers);
        const auto bytes = __builtin_convertvector(integers, WideBytes);
        std::memcpy(out + i * kWide, &bytes, sizeof(bytes));
    }
}

inline Floats larger(const Floats& a, const Floats& b)
{
    return select(b > a, b, a);
}

inline Floats smaller(const Floats& a, const Floats& b)
{
    return select(b < a, b, a);
}

// Combines the lanes to one number, in the same order everywhere.
template <typename Combine>
float folded(const Floats& lanes, const Combine& combine)
{
    std::array<float, kLanes> x;
    lanes.store(x.data());
    for (std::size_t half = kLanes / 2; half > 0; half /= 2)
        for (std::size_t c = 0; c < half; ++c)
            x[c] = combine(x[c], x[c + half]);
    return x[0];
}

// a0 b0 a1 b1 ... a7 b7 and a8 b8 ... a15 b15.
struct Interleaved {
    Floats low, high;
};

template <std::size_t... I>
Interleaved interleaved(const Floats& a, const Floats& b, std::index_sequence<I...>)
{
    std::array<Wide, 2 * kWides> all;
    for (std::size_t i = 0; i < kWides; ++i) {
        all[2 * i] = __builtin_shufflevector(a.part[i], b.part[i], (I / 2 + I % 2 * kWide)...);
        all[2 * i + 1] = __builtin_shufflevector(a.part[i], b.part[i], ((kWide + I) / 2 + I % 2 * kWide)...);
    }
    Interleaved result;
    std::memcpy(&result, &all, sizeof(result));
    return result;
}

inline Interleaved interleaved(const Floats& a, const Floats& b)
{
    return interleaved(a, b, std::make_index_sequence<kWide>());
}

// Of each lane and its neighbour: 0 and 1, 2 and 3, ...
template <std::size_t... I>
Floats pairSums(const Floats& x, std::index_sequence<I...>)
{
    Floats result;
    for (std::size_t i = 0; i < kWides; ++i)
        result.part[i] = x.part[i] + __builtin_shufflevector(x.part[i], x.part[i], (I ^ 1)...);
    return result;
}

inline Floats pairSums(const Floats& x)
{
    return pairSums(x, std::make_index_sequence<kWide>());
}

// rows[i][k] becomes rows[k][i]: four times the first half interleaved with the second one. Written out, so that rows
// stay in registers.
using Square = std::array<Floats, kLanes>;

template <std::size_t... I>
Square halvesInterleaved(const Square& rows, std::index_sequence<I...>)
{
    Square result;
    const auto put = [&](std::size_t i) {
        const Interleaved pair = interleaved(rows[i], rows[i + kLanes / 2]);
        result[2 * i] = pair.low;
        result[2 * i + 1] = pair.high;
    };
    (put(I), ...);
    return result;
}

inline Square transposed(const Square& rows)
{
    constexpr auto kHalf = std::make_index_sequence<kLanes / 2>();
    return halvesInterleaved(halvesInterleaved(halvesInterleaved(halvesInterleaved(rows, kHalf), kHalf), kHalf), kHalf);
}

} // namespace quern
