#pragma once

#include "core/blockformat.h"
#include "core/latticesearch.h"
#include "core/stored.h"

#include <bit>

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

template <std::size_t Length, std::size_t Levels, const auto& Packed>
const Codebook<Length, Levels, Packed.size()>& codebookOf()
{
    static const Codebook<Length, Levels, Packed.size()> book(Packed);
    return book;
}

template <typename Block>
void decodeLattice(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    static_assert(alignof(Block) == 1);
    const auto* block = reinterpret_cast<const Block*>(blocks);
    for (std::size_t c = 0; c < x.size(); c += kLatticeValues, ++block)
        block->decode(x.data() + c);
}

template <typename Block>
void encodeLattice(const BlockFormat&, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    auto* block = reinterpret_cast<Block*>(bytes);
    for (std::size_t c = 0; c < x.size(); c += kLatticeValues, ++block) {
        std::memset(block, 0, sizeof(Block));
        const Sample sample(x.subspan(c, kLatticeValues), Sample::part(fit, c, kLatticeValues));
        LatticeSearch<Block>(sample, fit.effort).write(*block);
    }
}

// Minus signs that have to be even in number, if vector v has these.
template <typename Block>
int minusSigns(const Block& block, int v, unsigned its)
{
    if constexpr (Block::kSigns == Signs::EvenInPairs)
        return std::popcount(its) + std::popcount(static_cast<unsigned>(block.signs(v ^ 1)));
    return Block::kSigns == Signs::Even ? std::popcount(its) : 0;
}

// importance: of each weight, at most 1. Every way to store the signs is tried, each in a lane: which one is turned,
// where one is; which delta, where the vector has one of its own.
template <typename Block>
void placeVector(Block& block, int first, std::span<float> x, std::span<const float> importance)
{
    using Book = std::remove_cvref_t<decltype(Block::codebook())>;
    constexpr std::size_t kLength = Book::kLength;
    constexpr bool kCoded = Block::kSigns == Signs::Coded;
    const int v = first / static_cast<int>(kLength);
    const float scale = block.scale(v);
    unsigned signs = 0;
    Targets<kLength> targets;
    for (std::size_t k = 0; k < kLength; ++k) {
        const float value = scale < 0.0f ? -x[k] : x[k];
        targets.w[k] = importance[k];
        targets.y[k] = importance[k] * (kCoded ? value : std::abs(value));
        signs |= (value < 0.0f ? 1U : 0U) << k;
    }
    const bool turn = minusSigns(block, v, signs) % 2 != 0;
    typename Book::Values values;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const std::size_t k = lane % kLength;
        if (turn)
            targets.y[k].set(lane, -targets.y[k][lane]);
        for (std::size_t l = 0; l < values.size(); ++l)
            if constexpr (kCoded)
                values[l].set(lane, Block::kLevels[l] + block.delta(v, lane % 2 != 0));
            else
                values[l].set(lane, Block::kLevels[l]);
    }
    Found found;
    Block::codebook().find(targets, values, std::abs(scale), found);
    const Floats heights = std::abs(scale) * found.q - 2.0f * found.p;
    std::size_t best = 0;
    for (std::size_t lane = 1; lane < kLanes; ++lane)
        best = heights[lane] < heights[best] ? lane : best;
    if constexpr (kCoded)
        block.setCode(v, found.code[best], block.delta(v, best % 2 != 0) < 0.0f ? 1 : 0);
    else
        block.setCode(v, found.code[best], static_cast<int>(signs ^ (turn ? 1U << best % kLength : 0U)));
    block.decodeVector(v, x.data());
}

template <typename Block>
void placeAlike(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    std::array<float, std::remove_cvref_t<decltype(Block::codebook())>::kLength> alike;
    alike.fill(1.0f);
    placeVector(*reinterpret_cast<Block*>(bytes), first, x, alike);
}

template <typename Block>
void placeWeighted(const BlockFormat&, std::byte* bytes, int first, std::span<float> x,
                   std::span<const float> importance)
{
    std::array<float, std::remove_cvref_t<decltype(Block::codebook())>::kLength> shares;
    const float largest = std::ranges::max(importance);
    std::ranges::transform(importance, shares.begin(), [&](float weight) { return weight / largest; });
    placeVector(*reinterpret_cast<Block*>(bytes), first, x, shares);
}

template <typename Block>
constexpr BlockFormat latticeFormat(std::string_view name, std::uint32_t id, bool needsImportance = true)
{
    return {.name = name,
            .id = id,
            .values = kLatticeValues,
            .bytes = sizeof(Block),
            .group = static_cast<int>(std::remove_cvref_t<decltype(Block::codebook())>::kLength),
            .scaled = Block::kScaled,
            .needsImportance = needsImportance,
            .encode = encodeLattice<Block>,
            .decode = decodeLattice<Block>,
            .place = placeAlike<Block>,
            .placeWeighted = placeWeighted<Block>};
}

} // namespace quern
