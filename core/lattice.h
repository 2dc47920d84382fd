#pragma once

#include "core/blockformat.h"
#include "core/stored.h"

#include <array>
#include <bit>
#include <cstdint>

namespace quern {

// Codebooks of small vectors, as the IQ formats use them.
template <std::size_t Length>
using CodeVector = std::array<std::int8_t, Length>;

// Spreads codebook entries of `bits` bits a value, the first in the lowest bits.
template <std::size_t Length, std::size_t Entries, std::size_t Levels>
constexpr std::array<CodeVector<Length>, Entries> spread(const std::array<std::uint16_t, Entries>& packed, int bits,
                                                         const std::array<std::int8_t, Levels>& levels)
{
    std::array<CodeVector<Length>, Entries> vectors {};
    for (std::size_t e = 0; e < Entries; ++e)
        for (std::size_t k = 0; k < Length; ++k)
            vectors[e][k] = levels[packed[e] >> (static_cast<int>(k) * bits) & ((1 << bits) - 1)];
    return vectors;
}

// Eight signs from seven bits: the number of minus signs is even.
constexpr std::uint8_t evenSigns(std::uint32_t seven)
{
    seven &= 127;
    return static_cast<std::uint8_t>(seven | static_cast<std::uint32_t>(std::popcount(seven) & 1) << 7);
}

// x[k] = scale * vector[k], negated where bit k of signs is set.
template <std::size_t Length>
void putSigned(float* x, float scale, const CodeVector<Length>& vector, int signs)
{
    for (std::size_t k = 0; k < Length; ++k) {
        const float magnitude = scale * static_cast<float>(vector[k]);
        x[k] = (signs >> k & 1) != 0 ? -magnitude : magnitude;
    }
}

// Formats of such vectors: a Block holds 256 weights, has no alignment and decodes them by decode(float* x).
constexpr int kLatticeValues = 256;

template <typename Block>
void decodeLattice(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    static_assert(alignof(Block) == 1);
    const auto* block = reinterpret_cast<const Block*>(blocks);
    for (std::size_t c = 0; c < x.size(); c += kLatticeValues, ++block)
        block->decode(x.data() + c);
}

template <typename Block, int Length>
constexpr BlockFormat latticeFormat(std::string_view name, std::uint32_t id, int scaled, bool needsImportance = true)
{
    return {.name = name,
            .id = id,
            .values = kLatticeValues,
            .bytes = sizeof(Block),
            .group = Length,
            .scaled = scaled,
            .needsImportance = needsImportance,
            .decode = decodeLattice<Block>};
}

} // namespace quern
