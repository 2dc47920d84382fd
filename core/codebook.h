#pragma once

#include "core/lanes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace quern {

// 16 vectors of a few weights, side by side.
template <std::size_t Length>
struct Targets {
    std::array<Floats, Length> w, y; // importance; importance times weight
};

// The codewords found for them: p = sum y value, q = sum w value^2 (core/ladder.h says what for).
struct Found {
    Floats p, q;
    std::array<std::uint16_t, kLanes> code;
    std::array<std::uint8_t, kLanes> turned; // by findTurned: whose sign
};

// A codebook as a part of a lattice, whose points have one of a few levels in each dimension. Vectors are searched 16
// at a time, each in a lane under a scale of its own. What a point costs more than the nearest one of the lattice is
// the sum of what its halves cost; there are few halves, and a table says which of them are codewords together.
template <std::size_t Length, std::size_t Levels, std::size_t Entries>
class Codebook {
public:
    static constexpr std::size_t kLength = Length;
    using Values = std::array<Floats, Levels>; // of the levels, ascending

    static constexpr int kBits = Levels > 4 ? 3 : 2; // of a digit, which stands for a level

    // Digits, the first in the lowest bits.
    explicit Codebook(const std::array<std::uint16_t, Entries>& packed)
    {
        m_entries.fill(kNone);
        for (std::size_t e = 0; e < Entries; ++e) {
            std::size_t point = 0;
            for (std::size_t k = Length; k-- > 0;)
                point = Levels * point + (packed[e] >> (static_cast<int>(k) * kBits) & ((1U << kBits) - 1));
            m_entries[point] = static_cast<std::int32_t>(e << 16 | packed[e]);
        }
        for (std::size_t second = 0; second < kSide; ++second) {
            for (std::size_t first = 0; first < kSide; ++first)
                if (m_entries[first + kSide * second] != kNone)
                    m_firsts.push_back(static_cast<std::uint8_t>(first));
            m_ends[second] = m_firsts.size();
        }
        for (std::size_t i = 0; i < m_masks.size(); ++i)
            for (std::size_t second = 0; second < kCorners; ++second)
                for (std::size_t first = 0; first < kCorners; ++first)
                    if (m_entries[pointAt(i, kStarts, Length) + kCornerPoints[first] + kSide * kCornerPoints[second]]
                        == kNone)
                        m_masks[i][second] |= 1U << (31 - first);
    }

    // The codewords of least scale q - 2 p.
    void find(const Targets<Length>& targets, const Values& values, const Floats& scale, Found& found) const
    {
        std::array<std::array<Floats, Levels>, Length> costs;
        for (std::size_t k = 0; k < Length; ++k)
            costsOf(targets, k, scale, values, costs[k]);
        std::array<Floats, kSide> first, second;
        sums(costs.data(), first);
        sums(costs.data() + kHalf, second);
        Entry entries;
        for (std::size_t part = 0; part < kWides; ++part) {
            std::array<Wide, kSide> keys;
            for (std::size_t i = 0; i < kSide; ++i)
                keys[i] = (Wide)keyOf(first[i], part, i);
            Pairs pairs;
            for (std::size_t j = 0; j < kSide; ++j) {
                Wide least;
                fill(least, HUGE_VALF);
                for (std::size_t i = j == 0 ? 0 : m_ends[j - 1]; i < m_ends[j]; ++i)
                    least = keys[m_firsts[i]] < least ? keys[m_firsts[i]] : least;
                pairs.add(least, second[j].part[part], kSide * j);
            }
            entriesOf(pairs.points(), part, entries);
        }
        finish(targets, values, entries, found);
    }

    // The same, but where many points are codewords only among the 256 around the weights: the two nearest levels of
    // each. What it loses is far less than what it saves.
    void findNear(const Targets<Length>& targets, const Values& values, const Floats& scale, Found& found) const
    {
        if constexpr (kDense)
            findInWindows(targets, values, scale, found);
        else
            find(targets, values, scale, found);
    }

    // The same for magnitudes, with the sign of one weight turned where `turn` says so: of that which then costs least
    // in the lattice.
    void findTurned(const Targets<Length>& targets, const Values& values, const Floats& scale, const Mask& turn,
                    Found& found) const
    {
        Floats least = HUGE_VALF, cheapest = 0.0f;
        for (std::size_t k = 0; k < Length; ++k) {
            const Floats unit = scale * targets.w[k], twice = targets.y[k] + targets.y[k];
            Floats kept = HUGE_VALF, turned = HUGE_VALF;
            for (const Floats& value : values) {
                kept = smaller(value * (unit * value - twice), kept);
                turned = smaller(value * (unit * value + twice), turned);
            }
            const Mask better = turned - kept < least;
            least = select(better, turned - kept, least);
            cheapest = select(better, static_cast<float>(k), cheapest);
        }
        Targets<Length> turned = targets;
        for (std::size_t k = 0; k < Length; ++k) {
            const Mask here = cheapest == Floats(static_cast<float>(k));
            turned.y[k] = select(turn, select(here, -targets.y[k], targets.y[k]), targets.y[k]);
        }
        findNear(turned, values, scale, found);
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            found.turned[lane] = static_cast<std::uint8_t>(cheapest[lane]);
    }

private:
    static constexpr std::size_t power(std::size_t base, std::size_t exponent)
    {
        return exponent == 0 ? 1 : base * power(base, exponent - 1);
    }
    static constexpr std::size_t kHalf = Length / 2, kSide = power(Levels, kHalf); // points of a half
    static constexpr std::int32_t kKeys = 128;
    static_assert(kSide <= kKeys);
    // Windows: in each dimension two levels side by side, from kStarts places on.
    static constexpr std::size_t kStarts = Levels - 1, kCorners = power(2, kHalf); // corners of a half
    static constexpr bool kDense = kCorners == kLanes && 4 * Entries > power(Levels, Length);
    static constexpr std::size_t kWindows = kDense ? power(kStarts, Length) : 0;
    static constexpr std::int32_t kNone = -1;
    static constexpr std::int32_t kNever = 0x7F800000; // as a float: infinite

    // The point at digits of `radix` in the first `dimensions`.
    static constexpr std::size_t pointAt(std::size_t number, std::size_t radix, std::size_t dimensions)
    {
        std::size_t point = 0;
        for (std::size_t k = 0, step = 1; k < dimensions; ++k, step *= Levels, number /= radix)
            point += step * (number % radix);
        return point;
    }
    static constexpr std::array<std::uint8_t, kCorners> kCornerPoints = [] {
        std::array<std::uint8_t, kCorners> points {};
        for (std::size_t i = 0; i < kCorners; ++i)
            points[i] = static_cast<std::uint8_t>(pointAt(i, 2, kHalf));
        return points;
    }();
    void findInWindows(const Targets<Length>& targets, const Values& values, const Floats& scale, Found& found) const
    {
        std::array<std::array<Floats, 2>, Length> costs;
        Floats window = 0.0f, origin = 0.0f;
        for (std::size_t k = 0; k < Length; ++k) {
            std::array<Floats, 2> near {values[0], values[1]};
            for (std::size_t start = 1; start < kStarts; ++start) {
                const Mask above = targets.y[k] > scale * targets.w[k] * values[start];
                window += select(above, static_cast<float>(power(kStarts, k)), 0.0f);
                origin += select(above, static_cast<float>(power(Levels, k)), 0.0f);
                near = {select(above, values[start], near[0]), select(above, values[start + 1], near[1])};
            }
            costsOf(targets, k, scale, near, costs[k]);
        }
        std::array<Floats, kCorners> first, second;
        sums(costs.data(), first);
        sums(costs.data() + kHalf, second);
        Square masks;
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            std::memcpy(&masks[lane], m_masks[static_cast<std::size_t>(window[lane])].data(), sizeof(Floats));
        masks = transposed(masks);
        Entry entries;
        for (std::size_t part = 0; part < kWides; ++part) {
            std::array<WideIntegers, kCorners> inverted;
            for (std::size_t i = 0; i < kCorners; ++i)
                inverted[i] = kNever - keyOf(first[i], part, kCornerPoints[i]);
            Pairs pairs;
            for (std::size_t j = 0; j < kCorners; ++j)
                pairs.add(leastOf(inverted, (WideIntegers)masks[j].part[part], std::make_index_sequence<kCorners>()),
                          second[j].part[part], kSide * kCornerPoints[j]);
            entriesOf(pairs.points() + __builtin_convertvector(origin.part[part], WideIntegers), part, entries);
        }
        finish(targets, values, entries, found);
    }

    // What each value of dimension k costs more than the best one.
    template <std::size_t Count>
    static void costsOf(const Targets<Length>& targets, std::size_t k, const Floats& scale,
                        const std::array<Floats, Count>& values, std::array<Floats, Count>& costs)
    {
        const Floats unit = scale * targets.w[k], twice = targets.y[k] + targets.y[k];
        Floats least = HUGE_VALF;
        for (std::size_t l = 0; l < Count; ++l) {
            costs[l] = values[l] * (unit * values[l] - twice);
            least = smaller(costs[l], least);
        }
        for (Floats& cost : costs)
            cost = cost - least;
    }
    // Of all combinations in the dimensions of a half, the first in the lowest digit.
    template <std::size_t Count, std::size_t All>
    static void sums(const std::array<Floats, Count>* costs, std::array<Floats, All>& all)
    {
        std::copy_n(costs[0].begin(), Count, all.begin());
        addDimensions<1, Count>(costs, all);
    }
    template <std::size_t K, std::size_t Known, std::size_t Count, std::size_t All>
    static void addDimensions(const std::array<Floats, Count>* costs, std::array<Floats, All>& all)
    {
        if constexpr (K < kHalf) {
            for (std::size_t l = Count; l-- > 0;)
                for (std::size_t i = 0; i < Known; ++i)
                    all[Known * l + i] = all[i] + costs[K][l];
            addDimensions<K + 1, Known * Count>(costs, all);
        }
    }
    // Numbers that are not negative (0 may have a sign) are in the order of their bits; the lowest ones tell the half.
    static WideIntegers keyOf(const Floats& cost, std::size_t part, std::size_t half)
    {
        constexpr std::int32_t kMagnitude = std::numeric_limits<std::int32_t>::max();
        return ((WideIntegers)cost.part[part] & (kMagnitude - kKeys + 1)) | static_cast<std::int32_t>(half);
    }
    // Of the keys that the mask does not rule out. `inverted` are kNever - key, so that a set sign rules one out.
    template <std::size_t... I>
    static Wide leastOf(const std::array<WideIntegers, kCorners>& inverted, const WideIntegers& ruledOut,
                        std::index_sequence<I...>)
    {
        constexpr std::int32_t kSign = std::numeric_limits<std::int32_t>::min();
        WideIntegers most {};
        const auto raise = [&](std::size_t i) {
            const WideIntegers key = inverted[i] | (ruledOut << static_cast<int>(i) & kSign);
            most = key > most ? key : most;
        };
        (raise(I), ...);
        return (Wide)(kNever - most);
    }
    // The best pair of halves so far.
    class Pairs {
    public:
        Pairs() { fill(m_least, HUGE_VALF); }
        void add(const Wide& leastFirst, const Wide& second, std::size_t itsPoint)
        {
            const Wide sum = leastFirst + second;
            const WideIntegers better = sum < m_least;
            m_least = better ? sum : m_least;
            m_first = better ? (WideIntegers)leastFirst : m_first;
            m_second = better ? WideIntegers {} + static_cast<std::int32_t>(itsPoint) : m_second;
        }
        WideIntegers points() const { return m_second + (m_first & (kKeys - 1)); }

    private:
        Wide m_least;
        WideIntegers m_first {}, m_second {};
    };

    using Entry = std::array<std::int32_t, kLanes>;
    void entriesOf(const WideIntegers& points, std::size_t part, Entry& entries) const
    {
        std::array<std::int32_t, kWide> places;
        std::memcpy(places.data(), &points, sizeof(points));
        for (std::size_t lane = 0; lane < kWide; ++lane)
            entries[part * kWide + lane] = std::max(m_entries[static_cast<std::size_t>(places[lane])], 0);
    }
    void finish(const Targets<Length>& targets, const Values& values, const Entry& entries, Found& found) const
    {
        found.p = found.q = 0.0f;
        for (std::size_t part = 0; part < kWides; ++part) {
            WideIntegers digits;
            std::memcpy(&digits, entries.data() + part * kWide, sizeof(digits));
            for (std::size_t k = 0; k < Length; ++k, digits >>= kBits) {
                const WideIntegers digit = digits & ((1 << kBits) - 1);
                Wide value = values[0].part[part];
                for (std::size_t l = 1; l < Levels; ++l)
                    value = digit == static_cast<std::int32_t>(l) ? values[l].part[part] : value;
                found.p.part[part] += targets.y[k].part[part] * value;
                found.q.part[part] += targets.w[k].part[part] * (value * value);
            }
        }
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            found.code[lane] = static_cast<std::uint16_t>(entries[lane] >> 16);
    }

    // Of windows, by second half: bit 31 - i is set where half i does not make it a codeword.
    alignas(64) std::array<std::array<std::uint32_t, kCorners>, kWindows> m_masks {};
    std::array<std::int32_t, kSide * kSide> m_entries; // by point: the packed codeword, above it its code
    std::array<std::size_t, kSide> m_ends;
    std::vector<std::uint8_t> m_firsts; // halves that go together with the second ones, in their order
};

} // namespace quern
