#pragma once

#include "core/encode.h"

// Q4_0, Q4_1, Q5_0, Q5_1: blocks of 32 weights with one grid.
namespace quern {

// Codes in [0, 15]: weight i < 16 in the low half of byte i, weight i + 16 in its high half.
struct FourBits {
    static constexpr int kTop = 15;
    std::uint8_t low[16];

    void set(int i, int code) { setNibble(low, i, code); }
    // Stores the codes v + zero of all weights.
    void pack(const std::int8_t* v, int zero)
    {
        for (int i = 0; i < 16; ++i)
            low[i] = static_cast<std::uint8_t>(((v[i] + zero) & 15) | ((v[i + 16] + zero) & 15) << 4);
    }
    // v: the codes less zero
    void unpack(std::int8_t* v, int zero) const
    {
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>((low[i] & 15) - zero);
            v[i + 16] = static_cast<std::int8_t>((low[i] >> 4) - zero);
        }
    }
};

// Codes in [0, 31]: the fifth bit of weight i in bit i of `high`.
struct FiveBits {
    static constexpr int kTop = 31;
    Stored<std::uint32_t> high;
    FourBits four;

    void set(int i, int code)
    {
        four.set(i, code);
        high = (high & ~(1u << i)) | static_cast<std::uint32_t>(code >> 4 & 1) << i;
    }
    void pack(const std::int8_t* v, int zero)
    {
        four.pack(v, zero);
        std::uint32_t bits = 0;
        for (int i = 0; i < 32; ++i)
            bits |= static_cast<std::uint32_t>((v[i] + zero) >> 4 & 1) << i;
        high = bits;
    }
    void unpack(std::int8_t* v, int zero) const
    {
        const std::uint32_t bits = high;
        for (int i = 0; i < 16; ++i) {
            v[i] = static_cast<std::int8_t>(((four.low[i] & 15) | static_cast<int>(bits >> i & 1) << 4) - zero);
            v[i + 16]
                = static_cast<std::int8_t>(((four.low[i] >> 4) | static_cast<int>(bits >> (i + 16) & 1) << 4) - zero);
        }
    }
};

// x = d * q,  q from -kZero to kZero - 1, stored as q + kZero.
template <typename Bits>
struct ScaledBlock {
    Half d;
    Bits codes;

    static constexpr int kValues = 32, kGroup = 32, kZero = (Bits::kTop + 1) / 2;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-kZero, kZero - 1};

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const { codes.unpack(v, kZero); }
    void set(int i, int v) { codes.set(i, v + kZero); }
    void pack(const std::int8_t* v) { codes.pack(v, kZero); }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findScales(tile, kCodes, effort); }
    void setParameters(const Grid& grid) { d = grid.scale; }
};

// x = d * q + m,  q in [0, kTop].
template <typename Bits>
struct ShiftedBlock {
    Half d, m;
    Bits codes;

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = true;
    static constexpr Codes kCodes {0, Bits::kTop};

    Grid grid(int) const { return {d, m}; }
    void unpack(std::int8_t* v) const { codes.unpack(v, 0); }
    void set(int i, int v) { codes.set(i, v); }
    void pack(const std::int8_t* v) { codes.pack(v, 0); }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(Tile& tile, Effort effort) { return findGrids(tile, kCodes, effort); }
    void setParameters(const Grid& grid)
    {
        d = grid.scale;
        m = grid.offset;
    }
};

} // namespace quern
