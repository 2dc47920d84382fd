#pragma once

#include "core/codebook.h"
#include "core/fit.h"
#include "core/ladder.h"

#include <type_traits>

namespace quern {

constexpr int kLatticeValues = 256;

// How signs are stored: in the codewords; apart; with an even number of minus signs in eight weights, which are a
// vector or a pair of them.
enum class Signs { Coded, Free, Even, EvenInPairs };

// Typical magnitudes of a codebook's values: of a flat group; the root of the mean square; the largest.
struct Reach {
    float flat, middle, top;
};

// A Block of such a format holds 256 weights, has no alignment and
//     codebook()                 static: a Codebook
//     kLevels, kReach, kSigns    values of its lattice; as above
//     kLadder, kScaled           scales of groups; weights that share one: 16 or 32
//     kSamples                   scales tried for each group
//     decode(float* x), decodeVector(int v, float* x), float scale(int v)
//     setWhole(float d), setScale(int g, int s), setCode(int v, int code, int marks)
// Marks are the signs, bit k that of weight k of the vector. With Signs::Coded they say whether delta is negative;
// there
//     kDelta                     values are levels + kDelta, or levels - kDelta
//     float delta(int v, bool)   of a vector, which may have a choice
//     kParts                     vectors that have the same
// With Signs::EvenInPairs there is signs(int v), and kParts is 2.

// The search for the parameters and codewords of one block. Lane r of everything has to do with weights 16 r to
// 16 r + 15, batch b with the vectors that lie at b * kLength in there.
template <typename Block>
class LatticeSearch {
    using Book = std::remove_cvref_t<decltype(Block::codebook())>;
    static constexpr std::size_t kLength = Book::kLength, kBatches = kLanes / kLength;
    static constexpr bool kTwoRows = Block::kScaled == 2 * kLanes; // in a group
    static constexpr bool kCoded = Block::kSigns == Signs::Coded, kPairs = Block::kSigns == Signs::EvenInPairs;
    // Vectors are coded together, as a unit, in one of two ways: above or below, or with the one or the other turned.
    static constexpr std::size_t kSides = kCoded || kPairs ? 2 : 1,
                                 kParts = std::min<std::size_t>(Block::kParts, kBatches);
    static constexpr std::size_t kFewSamples = 3;
    static_assert(Block::kParts == kParts || (Block::kParts == 2 * kParts && kTwoRows));

public:
    LatticeSearch(const Sample& sample, Effort effort)
        : m_unit(sample.unit)
        , m_samples(effort == Effort::Fast ? kFewSamples : Block::kSamples)
    {
        loadTargets(sample);
        findScales();
        for (std::size_t b = 0; b < kBatches; ++b)
            for (std::size_t side = 0; side < kSides; ++side)
                for (std::size_t i = 0; i < m_samples; ++i) {
                    const Found found = search(b, m_scales[i], static_cast<float>(side));
                    m_choices[b][side][i] = {found.p, found.q};
                }
    }
    LatticeSearch(const LatticeSearch&) = delete;
    LatticeSearch& operator=(const LatticeSearch&) = delete;

    void write(Block& block) const
    {
        const auto sumsAt = [this](const Floats& scale) { return this->sumsAt(scale); };
        LadderFit fit = LadderSearch(Block::kLadder, m_unit, sumsAt).fit(std::span(m_scales).first(m_samples));
        const float perUnit = Block::kLadder.unit / m_unit;
        const Floats scale = fit.d * perUnit * fit.odd();
        for (std::size_t g = 0; g < kLatticeValues / Block::kScaled; ++g)
            block.setScale(static_cast<int>(g), static_cast<int>(fit.s[kTwoRows ? 2 * g : g]));
        Sums sums;
        for (std::size_t b = 0; b < kBatches; ++b) {
            const Floats side = sideOf(b, scale);
            const Found found = search(b, scale, side);
            sums.add({found.p, found.q});
            for (std::size_t row = 0; row < kLanes; ++row)
                block.setCode(static_cast<int>(row * kBatches + b), found.code[row], marks(b, row, side[row], found));
        }
        LadderFit refitted = fit;
        refitted.d = fit.refitted(sums, perUnit);
        block.setWhole(refitted.error(sums, perUnit) < fit.error(sums, perUnit) ? refitted.d : fit.d);
    }

private:
    void loadTargets(const Sample& sample)
    {
        Square x, w;
        for (std::size_t row = 0; row < kLanes; ++row) {
            x[row] = Floats::load(sample.x + row * kLanes);
            w[row] = Floats::load(sample.w + row * kLanes);
        }
        x = transposed(x);
        w = transposed(w);
        constexpr float kLeast = 1e-7f; // what does not matter at all is still placed near
        for (std::size_t b = 0; b < kBatches; ++b) {
            Floats parity = 1.0f;
            m_signs[b] = 0.0f;
            for (std::size_t k = 0; k < kLength; ++k) {
                const Floats value = x[b * kLength + k], weight = w[b * kLength + k] + kLeast;
                const Mask negative = value < Floats(0.0f);
                const Floats magnitude = select(negative, -value, value);
                m_targets[b].w[k] = weight;
                m_targets[b].y[k] = weight * (kCoded ? value : magnitude);
                m_signs[b] += select(negative, static_cast<float>(1 << k), 0.0f);
                parity = select(negative, -parity, parity);
                m_largest = larger(magnitude, m_largest);
                m_squares += weight * (value * value);
                m_weight += weight;
            }
            m_parity[b] = parity;
        }
        if constexpr (kPairs)
            for (std::size_t b = 0; b < kBatches; b += 2)
                m_parity[b] = m_parity[b + 1] = m_parity[b] * m_parity[b + 1];
    }
    // Between a fraction of the largest magnitude and far beyond it.
    void findScales()
    {
        std::array<float, kLanes> largest, squares, weight, lowest, highest;
        m_largest.store(largest.data());
        (kTwoRows ? pairSums(m_squares) : m_squares).store(squares.data());
        (kTwoRows ? pairSums(m_weight) : m_weight).store(weight.data());
        for (std::size_t row = 0; row < kLanes; ++row) {
            const float top = kTwoRows ? std::max(largest[row], largest[row ^ 1]) : largest[row];
            const float spread = squares[row] / weight[row];
            constexpr Reach kReach = Block::kReach;
            const float low = std::min(0.5f * top / kReach.top, 0.6f * std::sqrt(spread) / kReach.middle);
            // The flatter the group, the more of it may take the lowest level.
            const float high = std::max(
                {1.2f * top / kReach.top, 1.7f * low, top > 0.0f ? 1.1f * spread / (top * kReach.flat) : 0.0f});
            lowest[row] = std::sqrt(low);
            highest[row] = std::sqrt(high);
        }
        // Even steps of the root are nearly even steps of the logarithm.
        const Floats from = Floats::load(lowest.data()), range = Floats::load(highest.data()) - from;
        for (std::size_t i = 0; i < m_samples; ++i) {
            const Floats root = from + (static_cast<float>(i) + 0.5f) / static_cast<float>(m_samples) * range;
            m_scales[i] = root * root;
        }
    }

    // The best of a batch's listed codewords.
    Sums chosen(std::size_t b, std::size_t side, const Floats& scale) const
    {
        const auto& choices = m_choices[b][side];
        Sums best = choices[0];
        Floats least = best.height(scale);
        for (std::size_t i = 1; i < m_samples; ++i) {
            const Floats height = choices[i].height(scale);
            const Mask better = height < least;
            least = select(better, height, least);
            best.take(better, choices[i]);
        }
        return best;
    }
    static std::size_t sideOf(std::size_t part, std::size_t way) { return kPairs ? (part == way ? 1 : 0) : way; }
    // Of the unit that begins in batch b.
    Sums unitSums(std::size_t b, std::size_t way, const Floats& scale) const
    {
        Sums sums;
        for (std::size_t part = 0; part < kParts; ++part)
            sums.add(chosen(b + part, sideOf(part, way), scale));
        if constexpr (Block::kParts > kParts)
            sums = {pairSums(sums.p), pairSums(sums.q)};
        return sums;
    }
    Sums sumsAt(const Floats& scale) const
    {
        Sums sums;
        for (std::size_t b = 0; b < kBatches; b += kParts) {
            Sums best = unitSums(b, 0, scale);
            if constexpr (kSides == 2) {
                const Sums other = unitSums(b, 1, scale);
                best.take(other.height(scale) < best.height(scale), other);
            }
            sums.add(best);
        }
        if constexpr (kTwoRows && Block::kParts == kParts)
            return {pairSums(sums.p), pairSums(sums.q)};
        return sums;
    }
    // 1: delta is negative, or a sign is turned.
    Floats sideOf(std::size_t b, const Floats& scale) const
    {
        if constexpr (kSides == 1)
            return 0.0f;
        const std::size_t unit = b - b % kParts;
        const Mask second = unitSums(unit, 1, scale).height(scale) < unitSums(unit, 0, scale).height(scale);
        const auto side = [&](std::size_t way) { return static_cast<float>(sideOf(b % kParts, way)); };
        return select(second, side(1), side(0));
    }

    Found search(std::size_t b, const Floats& scale, const Floats& side) const
    {
        const Book& book = Block::codebook();
        typename Book::Values values;
        for (std::size_t l = 0; l < values.size(); ++l)
            values[l] = Block::kLevels[l];
        Found found;
        if constexpr (kCoded) {
            const Floats delta = select(side > Floats(0.0f), -Block::kDelta, Block::kDelta);
            for (Floats& value : values)
                value = value + delta;
        }
        if constexpr (kPairs || Block::kSigns == Signs::Even)
            book.findTurned(m_targets[b], values, scale,
                            select(m_parity[b] < Floats(0.0f), kPairs ? side : 1.0f, 0.0f) > Floats(0.0f), found);
        else
            book.findNear(m_targets[b], values, scale, found);
        return found;
    }
    int marks(std::size_t b, std::size_t row, float side, const Found& found) const
    {
        if constexpr (kCoded)
            return static_cast<int>(side);
        const bool turn = (kPairs ? side > 0.0f : Block::kSigns == Signs::Even) && m_parity[b][row] < 0.0f;
        return static_cast<int>(m_signs[b][row]) ^ (turn ? 1 << found.turned[row] : 0);
    }

    float m_unit;
    std::size_t m_samples; // scales tried on every group
    std::array<Targets<kLength>, kBatches> m_targets;
    std::array<Floats, kBatches> m_signs, m_parity; // bits of minus signs; -1 where their number is odd
    Floats m_largest = 0.0f, m_squares = 0.0f, m_weight = 0.0f;
    std::array<Floats, Block::kSamples> m_scales;
    std::array<std::array<std::array<Sums, Block::kSamples>, kSides>, kBatches> m_choices;
};

} // namespace quern
