#pragma once

#include "core/lattice.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace quern {

// A large codebook, searched by halves of its vectors. What a codeword costs is the sum of what its halves cost, and of
// the second halves only few, together with the best first half there is, stay below a codeword that is known to be
// good. Of codewords with other second halves not even the moments are formed. The search is exact nevertheless.
template <std::size_t Length, std::size_t Entries, std::size_t Levels>
class HalvedCodebook {
    static constexpr std::size_t kHalf = Length / 2;
    static constexpr std::size_t kHalves = Length == 8 ? Levels * Levels * Levels * Levels : Levels * Levels;
    static constexpr std::size_t kPoints = (kHalves + kPiece - 1) / kPiece * kPiece;

public:
    // Values of a codeword: levels[digit] for each digit, of `bits` bits, the first in the lowest bits.
    HalvedCodebook(const std::array<std::uint16_t, Entries>& packed, int bits, const std::array<float, Levels>& levels)
        : m_levels(levels)
    {
        std::vector<std::vector<std::uint16_t>> bySecond(kHalves);
        for (std::size_t e = 0; e < Entries; ++e) {
            m_first[e] = halfOf(packed[e], bits);
            m_second[e] = halfOf(packed[e] >> (static_cast<int>(kHalf) * bits), bits);
            bySecond[m_second[e]].push_back(static_cast<std::uint16_t>(e));
        }
        for (std::size_t second = 0; second < kHalves; ++second) {
            m_runs[second] = static_cast<std::uint16_t>(m_codes.size() / kWide);
            m_codes.insert(m_codes.end(), bySecond[second].begin(), bySecond[second].end());
            m_codes.resize((m_codes.size() + kWide - 1) / kWide * kWide, kNone);
        }
        for (const std::uint16_t code : m_codes)
            m_never.push_back(code == kNone ? kNever : 0.0f);
        m_runs[kHalves] = static_cast<std::uint16_t>(m_codes.size() / kWide);
        for (std::size_t k = 0; k < kHalf; ++k) {
            m_halves[k].fill(0.0f);
            for (std::size_t half = 0; half < kHalves; ++half)
                m_halves[k][half] = levels[digit(half, k)];
            for (const std::uint16_t code : m_codes)
                m_values[k].push_back(code == kNone ? 0.0f : levels[digit(m_first[code], k)]);
        }
        findNeighbours();
    }

    // The codewords of least error at any scale within bounds, as codes first, first + 1, ...
    void shorten(const Target<Length>& target, const ScaleBounds& bounds, int first, Shortlist& list) const
    {
        Halves one, other;
        momentsOfHalves(target.w.data(), target.y.data(), one);
        momentsOfHalves(target.w.data() + kHalf, target.y.data() + kHalf, other);
        auto points = pointsBelowKnown(target, bounds, other);
        for (Point& point : points)
            point.height -= leastOf(one, point.slope);
        Candidates candidates;
        forEachBelow({other.p, other.q}, points, [&](std::size_t second) {
            assert(second < kHalves);
            for (std::size_t run = m_runs[second]; run < m_runs[second + 1]; ++run) {
                Wide p, q;
                momentsOf(run, second, target, other, p, q);
                candidates.add(p, q, m_codes.data() + run * kWide);
            }
        });
        candidates.pad();
        Shortlist found;
        quern::shorten(candidates.moments(), bounds, 0, found);
        for (std::size_t i = 0; i < static_cast<std::size_t>(found.count); ++i)
            list.add(found.p[i], found.q[i], first + candidates.code[found.code[i]], bounds);
    }

private:
    static constexpr std::uint16_t kNone = 0xFFFF;
    static constexpr std::size_t kIntervals = 2;
    static constexpr float kRounding = 4e-6f, kSmallest = 1e-30f; // known ones count as below, too

    // Moments of all halves there might be; padded with what is never below.
    struct Halves {
        alignas(64) std::array<float, kPoints> p, q;
    };

    struct Candidates {
        static constexpr std::size_t kMost = Entries + kHalves * kWide + kPiece;

        alignas(64) std::array<float, kMost> p;
        std::size_t count = 0;
        std::array<std::uint16_t, kMost> code;
        alignas(64) std::array<float, kMost> q;

        void add(const Wide& itsP, const Wide& itsQ, const std::uint16_t* codes)
        {
            store(p.data() + count, itsP);
            store(q.data() + count, itsQ);
            std::memcpy(code.data() + count, codes, kWide * sizeof(*codes));
            count += kWide;
        }
        void pad()
        {
            for (; count % kPiece != 0; ++count) {
                p[count] = kNever;
                q[count] = 0.0f;
            }
        }
        Moments moments() const { return {std::span(p).first(count), std::span(q).first(count)}; }
    };
    static constexpr float kNever = -1e30f;

    static std::uint8_t halfOf(unsigned packed, int bits)
    {
        std::size_t number = 0;
        for (std::size_t k = kHalf; k-- > 0;)
            number = Levels * number + (packed >> (static_cast<int>(k) * bits) & ((1U << bits) - 1));
        return static_cast<std::uint8_t>(number);
    }
    static std::size_t digit(std::size_t number, std::size_t k)
    {
        for (; k > 0; --k)
            number /= Levels;
        return number % Levels;
    }

    // Of every point of the whole lattice a codeword nearby: that of the nearest point that has one, in steps of a
    // level. Good enough to begin with.
    void findNeighbours()
    {
        m_near.assign(kHalves * kHalves, kNone);
        std::vector<std::size_t> reached;
        for (std::size_t e = 0; e < Entries; ++e) {
            reached.push_back(m_first[e] + kHalves * m_second[e]);
            m_near[reached.back()] = static_cast<std::uint16_t>(e);
        }
        for (std::size_t i = 0; i < reached.size(); ++i)
            for (std::size_t k = 0, step = 1; k < Length; ++k, step *= Levels) {
                const std::size_t at = reached[i], level = at / step % Levels;
                if (level > 0)
                    reach(at - step, m_near[at], reached);
                if (level + 1 < Levels)
                    reach(at + step, m_near[at], reached);
            }
    }
    void reach(std::size_t point, std::uint16_t code, std::vector<std::size_t>& reached)
    {
        if (m_near[point] != kNone)
            return;
        m_near[point] = code;
        reached.push_back(point);
    }

    void momentsOfHalves(const float* w, const float* y, Halves& halves) const
    {
        for (std::size_t i = 0; i < kPoints; i += kWide) {
            Wide p {}, q {};
            for (std::size_t k = 0; k < kHalf; ++k) {
                Wide value;
                load(value, m_halves[k].data() + i);
                p += y[k] * value;
                q += w[k] * (value * value);
            }
            store(halves.p.data() + i, p);
            store(halves.q.data() + i, q);
        }
        std::fill(halves.p.begin() + kHalves, halves.p.end(), kNever);
    }

    // The codeword near the weights under a scale.
    std::size_t nearby(const Target<Length>& target, float scale) const
    {
        std::size_t point = 0;
        for (std::size_t k = Length; k-- > 0;) {
            std::size_t level = 0;
            const float unit = scale * target.w[k];
            for (std::size_t l = 0; l + 1 < Levels; ++l)
                level += target.y[k] > unit * 0.5f * (m_levels[l] + m_levels[l + 1]) ? 1 : 0;
            point = Levels * point + level;
        }
        return m_near[point];
    }

    // Between any two slopes the line of a codeword that is good there; at the slopes the higher one.
    std::array<Point, kIntervals + 1> pointsBelowKnown(const Target<Length>& target, const ScaleBounds& bounds,
                                                       const Halves& other) const
    {
        std::array<Point, kIntervals + 1> points;
        points[0] = {bounds.low, -HUGE_VALF};
        for (std::size_t i = 0; i < kIntervals; ++i) {
            points[i + 1] = {points[i].slope * bounds.ratio * std::sqrt(bounds.ratio), -HUGE_VALF};
            const float middle = 0.5f * (points[i].slope + points[i + 1].slope);
            const std::size_t second = m_second[nearby(target, middle)];
            Wide p, q, least;
            fill(least, HUGE_VALF);
            Wide bestP {}, bestQ {};
            for (std::size_t run = m_runs[second]; run < m_runs[second + 1]; ++run) {
                momentsOf(run, second, target, other, p, q);
                const Wide height = middle * q - (p + p);
                const WideIntegers better = height < least;
                bestP = better ? p : bestP;
                bestQ = better ? q : bestQ;
                least = better ? height : least;
            }
            WideIntegers lanes;
            count(lanes, 0);
            const int best = firstOfLeast(least, lanes);
            for (std::size_t j = i; j <= i + 1; ++j) {
                const float scaled = points[j].slope * bestQ[best], twice = 2.0f * bestP[best];
                const float rounding = kRounding * (scaled + std::abs(twice)) + kSmallest;
                points[j].height = std::max(points[j].height, scaled - twice + rounding);
            }
        }
        return points;
    }

    void momentsOf(std::size_t run, std::size_t second, const Target<Length>& target, const Halves& other, Wide& p,
                   Wide& q) const
    {
        load(p, m_never.data() + run * kWide);
        p += other.p[second];
        fill(q, other.q[second]);
        for (std::size_t k = 0; k < kHalf; ++k) {
            Wide value;
            load(value, m_values[k].data() + run * kWide);
            p += target.y[k] * value;
            q += target.w[k] * (value * value);
        }
    }

    static float leastOf(const Halves& halves, float slope)
    {
        Wide least;
        fill(least, HUGE_VALF);
        for (std::size_t i = 0; i < kPoints; i += kWide) {
            Wide p, q;
            load(p, halves.p.data() + i);
            load(q, halves.q.data() + i);
            const Wide height = slope * q - (p + p);
            least = height < least ? height : least;
        }
        WideIntegers lanes;
        count(lanes, 0);
        return least[firstOfLeast(least, lanes)];
    }

    alignas(64) std::array<std::array<float, kPoints>, kHalf> m_halves; // values
    std::vector<std::uint16_t> m_codes;                                 // by second half, in runs of kWide
    std::array<std::vector<float>, kHalf> m_values;                     // of first halves, in runs
    std::vector<float> m_never;        // what keeps the padding of runs from being chosen
    std::vector<std::uint16_t> m_near; // a codeword near every point of the lattice
    std::array<float, Levels> m_levels;
    std::array<std::uint16_t, kHalves + 1> m_runs;       // where those of a second half begin
    std::array<std::uint8_t, Entries> m_first, m_second; // halves of each codeword
};

} // namespace quern
