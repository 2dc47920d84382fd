#pragma once

#include "core/blockformat.h"
#include "core/shortlist.h"
#include "core/stored.h"
#include "core/wide.h"

#include <array>
#include <bit>
#include <cmath>
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

// A few weights as their codeword sees them.
template <std::size_t Length>
struct Target {
    std::array<float, Length> w, y; // importance; importance times magnitude
    int negative = 0;               // bit k: weight k is

    Target(const float* x, const float* importance)
    {
        constexpr float kLeast = 1e-7f; // what does not matter at all is still placed near
        for (std::size_t k = 0; k < Length; ++k) {
            w[k] = (importance ? importance[k] : 1.0f) + kLeast;
            y[k] = w[k] * std::abs(x[k]);
            negative |= (x[k] < 0.0f ? 1 : 0) << k;
        }
    }
    bool odd() const { return (std::popcount(static_cast<unsigned>(negative)) & 1) != 0; }
};

// To be placed near x, all weights alike, under a scale of either sign.
template <std::size_t Length>
Target<Length> nearTarget(std::span<const float> x, float scale)
{
    std::array<float, Length> turned;
    for (std::size_t k = 0; k < Length; ++k)
        turned[k] = scale < 0.0f ? -x[k] : x[k];
    return {turned.data(), nullptr};
}

template <int Scaled>
std::array<ScaleBounds, kLatticeValues / Scaled> boundsOf(const Sample& sample, const Levels& levels)
{
    std::array<ScaleBounds, kLatticeValues / Scaled> bounds;
    for (int g = 0; g < kLatticeValues / Scaled; ++g)
        bounds[static_cast<std::size_t>(g)] = scaleBounds(sample, g * Scaled, Scaled, levels);
    return bounds;
}

template <std::size_t Entries>
struct MomentTable {
    alignas(64) std::array<float, Entries> p, q;

    operator Moments() const { return {p, q}; }
};

// A codebook of magnitudes, side by side for all entries.
template <std::size_t Length, std::size_t Entries>
class Codebook {
public:
    constexpr explicit Codebook(const std::array<CodeVector<Length>, Entries>& vectors)
        : vectors(vectors)
    {
        for (std::size_t e = 0; e < Entries; ++e)
            for (std::size_t k = 0; k < Length; ++k) {
                m_values[k][e] = static_cast<float>(vectors[e][k]);
            }
    }

    void moments(const Target<Length>& target, MomentTable<Entries>& table) const
    {
        for (std::size_t e = 0; e < Entries; e += kWide) {
            Wide p {}, q {};
            for (std::size_t k = 0; k < Length; ++k) {
                Wide value;
                load(value, m_values[k].data() + e);
                p += target.y[k] * value;
                q += target.w[k] * (value * value);
            }
            store(table.p.data() + e, p);
            store(table.q.data() + e, q);
        }
    }
    // The same with one sign turned, for every entry the cheapest.
    void turnSign(const Target<Length>& target, MomentTable<Entries>& table) const
    {
        for (std::size_t e = 0; e < Entries; e += kWide) {
            Wide least, p;
            fill(least, HUGE_VALF);
            for (std::size_t k = 0; k < Length; ++k) {
                Wide value;
                load(value, m_values[k].data() + e);
                value *= target.y[k];
                least = value < least ? value : least;
            }
            load(p, table.p.data() + e);
            store(table.p.data() + e, p - 2.0f * least);
        }
    }
    // The signs of an entry with this one turned.
    int turnedSigns(const Target<Length>& target, std::size_t entry) const
    {
        std::size_t cheapest = 0;
        for (std::size_t k = 1; k < Length; ++k)
            if (target.y[k] * m_values[k][entry] < target.y[cheapest] * m_values[cheapest][entry])
                cheapest = k;
        return target.negative ^ 1 << cheapest;
    }

    std::array<CodeVector<Length>, Entries> vectors;

private:
    alignas(64) std::array<std::array<float, Entries>, Length> m_values {};
};

// Encodes by Block::Search, made from a Sample: units and bounds for fitLadder(), and store(block, u, codes).
template <typename Block>
void encodeLattice(const BlockFormat&, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    auto* block = reinterpret_cast<Block*>(bytes);
    for (std::size_t c = 0; c < x.size(); c += kLatticeValues, ++block) {
        std::memset(block, 0, sizeof(Block));
        const Sample sample(x.subspan(c, kLatticeValues), Sample::part(fit, c, kLatticeValues));
        const typename Block::Search search(sample);
        const LadderFit found = fitLadder(search.units, search.bounds, Block::kLadder, sample.unit);
        block->setWhole(found.d);
        const std::size_t perGroup = search.units.size() / search.bounds.size();
        for (std::size_t g = 0; g < search.bounds.size(); ++g) {
            block->setScale(static_cast<int>(g), found.s[g]);
            const float scale = found.scale(g, Block::kLadder) / sample.unit;
            for (std::size_t u = g * perGroup; u < (g + 1) * perGroup; ++u)
                search.store(*block, u, bestCodes(search.units[u], scale));
        }
    }
}

template <typename Block, int Length>
constexpr BlockFormat latticeFormat(std::string_view name, std::uint32_t id, int scaled, bool needsImportance = true)
{
    BlockFormat format {.name = name,
                        .id = id,
                        .values = kLatticeValues,
                        .bytes = sizeof(Block),
                        .group = Length,
                        .scaled = scaled,
                        .needsImportance = needsImportance,
                        .decode = decodeLattice<Block>};
    if constexpr (requires { typename Block::Search; }) {
        format.encode = encodeLattice<Block>;
        format.place = Block::place;
    }
    return format;
}

} // namespace quern
