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

template <typename Block>
constexpr int vectorOf(int first)
{
    return first / static_cast<int>(std::remove_cvref_t<decltype(Block::codebook())>::kLength);
}

// Minus signs that have to be even in number, if vector v has these.
template <typename Block>
int minusSigns(const Block& block, int v, unsigned its)
{
    if constexpr (Block::kSigns == Signs::EvenInPairs)
        return std::popcount(its) + std::popcount(static_cast<unsigned>(block.signs(v ^ 1)));
    return Block::kSigns == Signs::Even ? std::popcount(its) : 0;
}

// Places vector v of up to 16 blocks. Every way to store the signs is tried: which one is turned, where one is; which
// delta, where the vector has one of its own. 16 ways are searched at once, each in a lane.
template <typename Block>
class VectorPlacing {
    using Book = std::remove_cvref_t<decltype(Block::codebook())>;
    static constexpr bool kCoded = Block::kSigns == Signs::Coded;

public:
    static constexpr std::size_t kLength = Book::kLength;

    // importance: of each weight, at most 1.
    VectorPlacing(int v, const std::array<float, kLength>& importance)
        : m_vector(v)
        , m_importance(importance)
    {
        for (std::size_t k = 0; k < kLength; ++k) {
            m_targets.w[k] = importance[k];
            m_targets.y[k] = 0.0f;
        }
        for (std::size_t l = 0; l < m_values.size(); ++l)
            m_values[l] = Block::kLevels[l];
    }

    // x: kLength values for each of the blocks, which become what is stored.
    void place(std::span<std::byte* const> blocks, std::span<float> x)
    {
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const Block& block = *reinterpret_cast<const Block*>(blocks[i]);
            load(i, block, x.data() + i * kLength);
            for (std::size_t way = 0; way < ways(i, block); ++way)
                addWay(i, way, block);
        }
        search();
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            Block& block = *reinterpret_cast<Block*>(blocks[i]);
            const Vector& vector = m_vectors[i];
            block.setCode(m_vector, vector.code, marks(vector, block));
            block.decodeVector(m_vector, x.data() + i * kLength);
        }
    }

private:
    struct Vector {
        std::array<float, kLength> y; // importance times weight, or magnitude
        float scale, height;          // height: of the best way so far
        unsigned signs;
        bool turn; // one sign has to be
        int code;
        std::size_t way;
    };

    void load(std::size_t i, const Block& block, const float* x)
    {
        Vector& vector = m_vectors[i];
        vector = {.y = {},
                  .scale = block.scale(m_vector),
                  .height = std::numeric_limits<float>::infinity(),
                  .signs = 0,
                  .turn = false,
                  .code = 0,
                  .way = 0};
        for (std::size_t k = 0; k < kLength; ++k) {
            const float value = vector.scale < 0.0f ? -x[k] : x[k];
            vector.y[k] = m_importance[k] * (kCoded ? value : std::abs(value));
            vector.signs |= (value < 0.0f ? 1U : 0U) << k;
        }
        vector.turn = minusSigns(block, m_vector, vector.signs) % 2 != 0;
    }
    std::size_t ways(std::size_t i, const Block& block) const
    {
        if constexpr (kCoded)
            return block.delta(m_vector, false) == block.delta(m_vector, true) ? 1 : 2;
        return m_vectors[i].turn ? kLength : 1;
    }
    void addWay(std::size_t i, std::size_t way, const Block& block)
    {
        const Vector& vector = m_vectors[i];
        for (std::size_t k = 0; k < kLength; ++k)
            m_targets.y[k].set(m_used, vector.turn && k == way ? -vector.y[k] : vector.y[k]);
        if constexpr (kCoded)
            for (std::size_t l = 0; l < m_values.size(); ++l)
                m_values[l].set(m_used, Block::kLevels[l] + block.delta(m_vector, way != 0));
        m_scales.set(m_used, std::abs(vector.scale));
        m_lanes[m_used] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(way)};
        if (++m_used == kLanes)
            search();
    }
    void search()
    {
        Found found;
        Block::codebook().find(m_targets, m_values, m_scales, found);
        const Floats heights = m_scales * found.q - 2.0f * found.p;
        for (std::size_t lane = 0; lane < m_used; ++lane) {
            Vector& vector = m_vectors[m_lanes[lane].vector];
            if (heights[lane] < vector.height) {
                vector.height = heights[lane];
                vector.code = found.code[lane];
                vector.way = m_lanes[lane].way;
            }
        }
        m_used = 0;
    }
    int marks(const Vector& vector, const Block& block) const
    {
        if constexpr (kCoded)
            return block.delta(m_vector, vector.way != 0) < 0.0f ? 1 : 0;
        return static_cast<int>(vector.signs ^ (vector.turn ? 1U << vector.way : 0U));
    }

    struct Lane {
        std::uint8_t vector, way;
    };
    int m_vector;
    std::array<float, kLength> m_importance;
    std::array<Vector, kLanes> m_vectors;
    std::array<Lane, kLanes> m_lanes;
    std::size_t m_used = 0; // lanes
    Targets<kLength> m_targets;
    typename Book::Values m_values;
    Floats m_scales = 0.0f;
};

template <typename Block>
void placeAlike(const BlockFormat&, std::byte* block, int first, std::span<float> x)
{
    using Placing = VectorPlacing<Block>;
    std::array<float, Placing::kLength> alike;
    alike.fill(1.0f);
    Placing(vectorOf<Block>(first), alike).place({&block, 1}, x);
}

template <typename Block>
void placeWeighted(const BlockFormat&, std::span<std::byte* const> blocks, int first, std::span<float> x,
                   std::span<const float> importance)
{
    using Placing = VectorPlacing<Block>;
    std::array<float, Placing::kLength> shares;
    const float largest = std::ranges::max(importance);
    std::ranges::transform(importance, shares.begin(), [&](float weight) { return weight / largest; });
    Placing placing(vectorOf<Block>(first), shares);
    for (std::size_t i = 0; i < blocks.size(); i += kLanes) {
        const std::size_t n = std::min<std::size_t>(kLanes, blocks.size() - i);
        placing.place(blocks.subspan(i, n), x.subspan(i * Placing::kLength, n * Placing::kLength));
    }
}

template <typename Block>
Grid latticeGrid(const BlockFormat&, const std::byte* bytes, int first)
{
    return {reinterpret_cast<const Block*>(bytes)->scale(vectorOf<Block>(first)), 0.0f};
}

template <typename Block>
void regridLattice(const BlockFormat&, std::byte* bytes, int first, const Grid& wanted)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    const float unit = block.whole() * Block::kLadder.unit;
    const float odd = unit == 0.0f ? 1.0f : wanted.scale / unit;
    const auto last = static_cast<float>(Block::kLadder.steps - 1);
    block.setScale(first / Block::kScaled, static_cast<int>(roundedWithin((odd - 1.0f) / 2.0f, 0.0f, last)));
}

template <typename Block>
void stretchLattice(const BlockFormat&, std::byte* bytes, const Grid& by)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    block.setWhole(finiteHalf(block.whole() * by.scale));
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
            .placeWeighted = placeWeighted<Block>,
            .regrid = {false, latticeGrid<Block>, regridLattice<Block>, stretchLattice<Block>}};
}

} // namespace quern
