#include "core/tile.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace quern {
namespace {

constexpr auto kLargest = [](float a, float b) { return b > a ? b : a; };

Extremes folded(const Extremes& lanes)
{
    return {-folded(-lanes.low, kLargest), folded(lanes.high, kLargest)};
}

// The largest of each `together` lanes, in all of them.
Floats largestOfBlock(const Floats& lanes, int together)
{
    const auto n = static_cast<std::size_t>(together);
    if (n == kLanes)
        return folded(lanes, kLargest);
    if (n == 1)
        return lanes;
    std::array<float, kLanes> x;
    lanes.store(x.data());
    for (std::size_t first = 0; first < kLanes; first += n) {
        float found = 0;
        for (std::size_t i = first; i < first + n; ++i)
            found = kLargest(found, x[i]);
        std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(first), n, found);
    }
    return Floats::load(x.data());
}

// The power of two at or below; `least` below that.
Floats powerOfTwo(const Floats& lanes, float least)
{
    std::array<float, kLanes> x;
    lanes.store(x.data());
    for (float& v : x)
        v = std::bit_cast<float>(std::bit_cast<std::uint32_t>(std::max(v, least)) & 0x7F800000u);
    return Floats::load(x.data());
}

} // namespace

Tile::Tile(int group, int together)
    : m_group(group)
    , m_together(together)
{
    assert(group % static_cast<int>(kLanes) == 0);
}

// Values of up to 16 groups, transposed.
void Tile::fill(std::span<const float> from, Floats* to, Extremes& of) const
{
    const auto group = static_cast<std::size_t>(m_group), groups = from.size() / group;
    Extremes ends; // in registers, which `of` would not be
    for (std::size_t i = 0; i < group; i += kLanes) {
        Square rows;
        for (std::size_t g = 0; g < kLanes; ++g)
            rows[g] = g < groups ? Floats::load(from.data() + g * group + i) : Floats(0.0f);
        rows = transposed(rows);
        for (std::size_t k = 0; k < kLanes; ++k) {
            ends.add(rows[k]);
            to[i + k] = rows[k];
        }
    }
    of = ends;
}

void Tile::load(std::span<const float> values, std::span<const float> importance)
{
    assert(values.size() % static_cast<std::size_t>(m_group) == 0);
    assert(values.size() <= kLanes * static_cast<std::size_t>(m_group));
    count = m_group;
    whole = false;
    uniform = importance.empty();
    m_values.resize(std::max(m_values.size(), 3 * static_cast<std::size_t>(m_group)));
    Extremes ofValues, ofWeights;
    fill(values, m_values.data(), ofValues);
    if (!uniform)
        fill(importance, m_values.data() + count, ofWeights);
    scale(ofValues, ofWeights);
}

void Tile::loadWhole(std::span<const float> values, std::span<const float> importance)
{
    const std::size_t n = (values.size() + kLanes - 1) / kLanes;
    count = static_cast<int>(n);
    whole = true;
    m_values.resize(std::max(m_values.size(), 3 * n));
    const auto put = [&](std::span<const float> from, float rest, Floats* to) {
        to[n - 1] = rest;
        std::memcpy(static_cast<void*>(to), from.data(), from.size_bytes());
        Extremes of;
        for (std::size_t i = 0; i < n; ++i)
            of.add(to[i]);
        return folded(of);
    };
    const Extremes ofValues = put(values, values[0], m_values.data());
    Extremes ofWeights {0.0f, 1.0f};
    uniform = importance.empty() && values.size() % kLanes == 0;
    if (std::ranges::any_of(importance, [](float v) { return v > 0.0f; })) {
        ofWeights = put(importance, 0.0f, m_values.data() + n);
    } else if (!uniform) {
        std::fill_n(m_values.data() + n, n, Floats(1.0f));
        for (std::size_t lane = kLanes - (n * kLanes - values.size()); lane < kLanes; ++lane)
            m_values[2 * n - 1].set(lane, 0.0f); // left over, and must not count
    }
    scale(ofValues, ofWeights);
}

// Groups whose weights are all 0 count for nothing in their block, and have weights of 1 among themselves.
void Tile::scale(const Extremes& ofValues, const Extremes& ofWeights)
{
    const Floats largest = larger(ofValues.high, -ofValues.low), heaviest = ofWeights.high;
    Floats* const values = m_values.data();
    const auto n = static_cast<std::size_t>(count);
    constexpr float kSmallest = 0x1p-60f; // what is smaller becomes 0 in any format
    unit = powerOfTwo(whole ? largest : largestOfBlock(largest, m_together), kSmallest);
    const Floats perUnit = Floats(1.0f) / unit;
    ends = {ofValues.low * perUnit, ofValues.high * perUnit};
    mean = 0.0f;
    x = values;
    w = values + n;
    wx = uniform ? values : values + 2 * n;
    weightUnit = 1.0f;
    Floats allW = 0.0f;
    if (uniform) {
        for (std::size_t i = 0; i < n; ++i)
            values[i] = values[i] * perUnit;
        allW = static_cast<float>(n);
    } else {
        const Floats weight = powerOfTwo(heaviest, 0x1p-126f), perWeight = Floats(1.0f) / weight;
        const Floats ofBlock = whole ? heaviest : largestOfBlock(heaviest, m_together);
        const Mask weighted = heaviest > 0.0f;
        weightUnit = select(ofBlock > 0.0f, select(weighted, weight / powerOfTwo(ofBlock, 0x1p-126f), 0.0f), 1.0f);
        const Floats plus = select(weighted, 0.0f, 1.0f);
        for (std::size_t i = 0; i < n; ++i) {
            values[i] = values[i] * perUnit;
            values[n + i] = values[n + i] * perWeight + plus;
            values[2 * n + i] = values[i] * values[n + i];
            allW += values[n + i];
        }
    }
    sumW = groupSum(*this, allW);
}

void Tile::centre()
{
    Floats* const values = m_values.data();
    const auto n = static_cast<std::size_t>(count);
    Floats sumWx = 0.0f;
    for (std::size_t i = 0; i < n; ++i)
        sumWx += wx[i];
    mean = groupSum(*this, sumWx) / sumW;
    Extremes found;
    const Floats centre = mean;
    for (std::size_t i = 0; i < n; ++i) {
        values[i] = values[i] - centre;
        found.add(values[i]);
        if (!uniform)
            values[2 * n + i] = values[n + i] * values[i];
    }
    ends = whole ? folded(found) : found;
}

} // namespace quern
