#pragma once

#include "core/blockformat.h"
#include "core/iq4.h"
#include "core/stored.h"

#include <array>

namespace quern {

// What most formats have in common: blocks of groups, each with a grid of its own, a code for every value.
//     x = grid.scale * value + grid.offset,   value: the small integer that the code stands for
// A Block of such a format has
//     kValues, kGroup        values in a block, in a group
//     kOffset                false: the offset is always 0 and is not added (-0 stays -0)
//     Grid grid(int g)       of group g
//     void unpack(int8_t* v) the integers of all values
//     void set(int i, int v) stores the integer of value i
//     int nearest(float t)   static: the integer nearest to t that a code can stand for
//     void pack(int8_t* v)   stores the integers of all values; for encodeTiles
//     kCodes                 what its codes can stand for; for encodeTiles
//     setParameters(Grid)    stores scale and offset, which are halves; where a block is one group
// or, where the groups' grids are integer multiples of the block's,
//     kSteps                 SharedRange: the integers
//     Grid whole(), setWhole(Grid)          the block's scale and offset
//     setSteps(int g, int scale, int offset)  stores the integers of group g
// and no alignment.

// The position of x in units of the grid. A scale of 0 puts all values on the same point.
inline float position(const Grid& grid, float x)
{
    return grid.scale == 0.0f ? 0.0f : (x - grid.offset) / grid.scale;
}

// What a code can stand for: the integers from low to high, or the 16 values of IQ4.
struct Codes {
    float low, high;
    bool iq4 = false;
};

// Nearest integer, ties to even, within [low, high]; not a number counts as low.
constexpr float roundedWithin(float t, float low, float high)
{
    constexpr float kShift = 12582912.0f; // 1.5 * 2^23: floats of this size are integers
    const float above = t > low ? t : low;
    const float within = above < high ? above : high;
    return (within + kShift) - kShift;
}

constexpr int nearestCode(float t, const Codes& codes)
{
    return static_cast<int>(codes.iq4 ? nearestIq4(t) : roundedWithin(t, codes.low, codes.high));
}

template <typename Block>
float pointOf(const Grid& grid, int value)
{
    const float scaled = grid.scale * static_cast<float>(value);
    if constexpr (Block::kOffset)
        return scaled + grid.offset;
    else
        return scaled;
}

template <typename Block>
void decodeBlocks(const BlockFormat&, const std::byte* bytes, std::span<float> x)
{
    static_assert(alignof(Block) == 1);
    const auto* block = reinterpret_cast<const Block*>(bytes);
    std::array<std::int8_t, Block::kValues> values;
    for (std::size_t c = 0; c < x.size(); c += Block::kValues, ++block) {
        block->unpack(values.data());
        for (int g = 0; g < Block::kValues / Block::kGroup; ++g) {
            const Grid grid = block->grid(g);
            const std::int8_t* v = values.data() + g * Block::kGroup;
            float* out = x.data() + c + g * Block::kGroup;
            for (int i = 0; i < Block::kGroup; ++i)
                out[i] = pointOf<Block>(grid, v[i]);
        }
    }
}

template <typename Block>
void placeCode(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    const Grid grid = block.grid(first / Block::kGroup);
    const int value = Block::nearest(position(grid, x[0]));
    block.set(first, value);
    x[0] = pointOf<Block>(grid, value);
}

// Of groups of a block with a common d, and a common dmin.
struct SharedRange {
    int groups, low, high; // groups of a block; the integers that scale and minimum may be
};

template <typename Block>
constexpr bool kShared = requires(Block block)
{
    block.setSteps(0, 0, 0);
};

template <typename Block>
Grid gridOf(const BlockFormat&, const std::byte* bytes, int first)
{
    return reinterpret_cast<const Block*>(bytes)->grid(first / Block::kGroup);
}

inline int nearestStep(float wanted, float unit, const SharedRange& range)
{
    const float steps = unit == 0.0f ? 0.0f : wanted / unit;
    return static_cast<int>(roundedWithin(steps, static_cast<float>(range.low), static_cast<float>(range.high)));
}

template <typename Block>
void regrid(const BlockFormat&, std::byte* bytes, int first, const Grid& wanted)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    if constexpr (kShared<Block>) {
        const Grid whole = block.whole();
        block.setSteps(first / Block::kGroup, nearestStep(wanted.scale, whole.scale, Block::kSteps),
                       nearestStep(wanted.offset, whole.offset, Block::kSteps));
    } else {
        block.setParameters({finiteHalf(wanted.scale), finiteHalf(wanted.offset)});
    }
}

template <typename Block>
void stretch(const BlockFormat&, std::byte* bytes, const Grid& by)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    const Grid whole = block.whole();
    block.setWhole({finiteHalf(whole.scale * by.scale), finiteHalf(whole.offset * by.offset)});
}

// The entry of a format of such blocks. Blocks that can set() a code can also place one.
template <typename Block>
constexpr BlockFormat formatOf(std::string_view name, std::uint32_t id, decltype(BlockFormat::encode) encode = nullptr)
{
    BlockFormat format {.name = name,
                        .id = id,
                        .values = Block::kValues,
                        .bytes = sizeof(Block),
                        .scaled = Block::kGroup < Block::kValues ? Block::kGroup : 0,
                        .encode = encode,
                        .decode = decodeBlocks<Block>};
    if constexpr (requires(Block block) { block.set(0, 0); })
        format.place = placeCode<Block>;
    if constexpr (kShared<Block>)
        format.regrid = {Block::kOffset, gridOf<Block>, regrid<Block>, stretch<Block>};
    else if constexpr (requires(Block block, Grid grid) { block.setParameters(grid); })
        format.regrid = {Block::kOffset, gridOf<Block>, regrid<Block>, nullptr};
    return format;
}

// Codes lie at both ends of a byte in many formats: value i of 32 in nibble i / 16 of byte i % 16.
inline int nibble(const std::uint8_t* bytes, int i)
{
    return bytes[i % 16] >> (i / 16 * 4) & 15;
}

inline void setBits(std::uint8_t& byte, int shift, int mask, int value)
{
    byte = static_cast<std::uint8_t>((byte & ~(mask << shift)) | (value & mask) << shift);
}

inline void setNibble(std::uint8_t* bytes, int i, int value)
{
    setBits(bytes[i % 16], i / 16 * 4, 15, value);
}

} // namespace quern
