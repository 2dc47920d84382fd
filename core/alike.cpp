#include "core/alike.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace quern {
namespace {

constexpr std::size_t kWidth = 16; // of a vector; a block is two of them
constexpr std::size_t kHalfBlock = kAlikeValues / 2;
static_assert(kHalfBlock == kWidth);

using Lanes = std::array<float, kAlikeBlocks>; // a number for each block

struct alignas(64) Values {
    std::array<std::array<float, kAlikeValues>, kAlikeBlocks> of;
};

// Sums and the like of all blocks at once: in `kWidth` parts each, which then are combined by halves.
struct alignas(64) Parts {
    std::array<std::array<float, kWidth>, kAlikeBlocks> of;

    template <typename Combine>
    Lanes combined(const Combine& combine) const
    {
        return halved<kWidth>(of[0].data(), combine);
    }
    Lanes sum() const
    {
        return combined([](float a, float b) { return a + b; });
    }

private:
    template <std::size_t N, typename Combine>
    static Lanes halved(const float* parts, const Combine& combine)
    {
        constexpr std::size_t kHalf = N / 2;
        alignas(64) std::array<float, kAlikeBlocks * kHalf> half;
        for (std::size_t b = 0; b < kAlikeBlocks; ++b)
            for (std::size_t l = 0; l < kHalf; ++l)
                half[b * kHalf + l] = combine(parts[b * N + l], parts[b * N + kHalf + l]);
        if constexpr (kHalf == 1)
            return half;
        else
            return halved<kHalf>(half.data(), combine);
    }
};

float larger(float a, float b)
{
    return b > a ? b : a;
}

float smaller(float a, float b)
{
    return b < a ? b : a;
}

template <typename Combine>
Lanes extremes(const Values& x, const Combine& combine)
{
    Parts parts;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        for (std::size_t l = 0; l < kWidth; ++l)
            parts.of[b][l] = combine(x.of[b][l], x.of[b][l + kHalfBlock]);
    return parts.combined(combine);
}

// Blocks that are missing are zeros.
void copy(std::span<const float> x, Values& values)
{
    float* const out = values.of[0].data();
    std::copy(x.begin(), x.end(), out);
    std::fill(out + x.size(), out + kAlikeBlocks * kAlikeValues, 0.0f);
}

// x = (x - offset) * inverse
void normalize(Values& x, const Lanes& offset, const Lanes& inverse)
{
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        for (std::size_t i = 0; i < kAlikeValues; ++i)
            x.of[b][i] = (x.of[b][i] - offset[b]) * inverse[b];
}

float inverseOf(float size)
{
    constexpr float kSmallest = 0x1p-100f; // what is smaller becomes 0 in any format
    return std::abs(size) > kSmallest ? 1.0f / size : 0.0f;
}

// Moments of the codes nearest to t * codesPerUnit - shift.
struct Moments {
    Lanes q, qq, xq;
};

template <bool WithSum>
Moments moments(const Values& t, float codesPerUnit, float shift, float low, float high)
{
    Parts q, qq, xq;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        for (std::size_t l = 0; l < kWidth; ++l) {
            const float t1 = t.of[b][l], t2 = t.of[b][l + kHalfBlock];
            const float q1 = roundedWithin(t1 * codesPerUnit - shift, low, high),
                        q2 = roundedWithin(t2 * codesPerUnit - shift, low, high);
            if constexpr (WithSum)
                q.of[b][l] = q1 + q2;
            qq.of[b][l] = q1 * q1 + q2 * q2;
            xq.of[b][l] = t1 * q1 + t2 * q2;
        }
    Moments all {{}, qq.sum(), xq.sum()};
    if constexpr (WithSum)
        all.q = q.sum();
    return all;
}

} // namespace

// The values are divided by the farthest one, which therefore is 1: the lowest code reaches farther than the highest.
AlikeGrids scalesOfAlike(std::span<const float> x, int top)
{
    const float low = -0.5f * static_cast<float>(top + 1), high = -low - 1.0f;
    Values t;
    copy(x, t);
    const Lanes most = extremes(t, larger), least = extremes(t, smaller);
    Lanes inverse;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        inverse[b] = inverseOf(most[b] > -least[b] ? most[b] : least[b]);
    normalize(t, {}, inverse);

    Lanes scale {}, gain {};
    for (const float code : {low, low - 0.7f, low + 0.6f, high}) { // of the farthest value
        const Moments sums = moments<false>(t, code, 0.0f, low, high);
        for (std::size_t b = 0; b < kAlikeBlocks; ++b) {
            const float refitted = sums.xq[b] / larger(sums.qq[b], 1.0f), gained = refitted * sums.xq[b];
            scale[b] = gained > gain[b] ? refitted : scale[b];
            gain[b] = larger(gain[b], gained);
        }
    }
    AlikeGrids grids;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        grids[b] = {inverse[b] == 0.0f ? 0.0f : scale[b] / inverse[b], 0.0f};
    return grids;
}

// The values are moved and divided to reach from 0 to 1. Halves, so that the range does not overflow.
AlikeGrids gridsOfAlike(std::span<const float> x, int top)
{
    const auto high = static_cast<float>(top);
    Values t;
    copy(x, t);
    for (auto& block : t.of)
        for (float& v : block)
            v *= 0.5f;
    const Lanes most = extremes(t, larger), least = extremes(t, smaller);
    Lanes inverse;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        inverse[b] = inverseOf(most[b] - least[b]);
    normalize(t, least, inverse);
    Parts parts;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b)
        for (std::size_t l = 0; l < kWidth; ++l)
            parts.of[b][l] = t.of[b][l] + t.of[b][l + kHalfBlock];
    const Lanes total = parts.sum();

    constexpr float kCount = kAlikeValues;
    Lanes scale {}, offset, gain;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b) {
        offset[b] = total[b] / kCount;
        gain[b] = offset[b] * total[b];
    }
    // How many steps the ends move inwards.
    struct Start {
        float up, down;
    };
    for (const Start& start : {Start {0.0f, 0.0f}, {0.4f, 0.4f}, {0.8f, 0.0f}, {0.0f, 0.8f}, {0.8f, 0.8f}}) {
        const float step = 1.0f / static_cast<float>(top + 1);
        const float perUnit = high / (1.0f - step * (start.up + start.down));
        const Moments sums = moments<true>(t, perUnit, step * start.up * perUnit, 0.0f, high);
        for (std::size_t b = 0; b < kAlikeBlocks; ++b) {
            const float determinant = larger(kCount * sums.qq[b] - sums.q[b] * sums.q[b], 1.0f);
            const float s = (kCount * sums.xq[b] - total[b] * sums.q[b]) / determinant;
            const float o = (total[b] - s * sums.q[b]) * (1.0f / kCount);
            const float gained = o * total[b] + s * sums.xq[b];
            const bool better = gained > gain[b];
            scale[b] = better ? s : scale[b];
            offset[b] = better ? o : offset[b];
            gain[b] = better ? gained : gain[b];
        }
    }
    AlikeGrids grids;
    for (std::size_t b = 0; b < kAlikeBlocks; ++b) {
        const float range = most[b] - least[b]; // of halves
        grids[b] = {2.0f * (scale[b] * range), 2.0f * (least[b] + offset[b] * range)};
    }
    return grids;
}

} // namespace quern
