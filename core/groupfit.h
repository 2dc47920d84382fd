#pragma once

#include "core/iq4.h"
#include "core/search.h"

#include <utility>

// The inner loop of the search, and what the fits of single groups and of whole blocks have in common.
namespace quern {

struct Integers {
    static constexpr bool kEven = true;
    float low, high;

    int levels() const { return static_cast<int>(high - low) + 1; }
    Floats nearest(const Floats& t) const { return nearestWithin(t, low, high); }
};

struct Iq4 {
    static constexpr bool kEven = false;
    float low = kIq4Values.front(), high = kIq4Values.back();

    static int levels() { return static_cast<int>(kIq4Values.size()); }
    static Floats nearest(const Floats& t) { return nearest(t, std::make_index_sequence<kIq4Values.size() - 1>()); }

private:
    template <std::size_t... K>
    static Floats nearest(const Floats& t, std::index_sequence<K...>)
    {
        Floats value = kIq4Values.front();
        ((value = select(t > iq4Middle(K), value + iq4Step(K), value)), ...);
        return value;
    }
};

// Calls use(Integers or Iq4).
template <typename Use>
auto withCodes(const Codes& codes, const Use& use)
{
    return codes.iq4 ? use(Iq4 {}) : use(Integers {codes.low, codes.high});
}

// Sums of w q, w q^2, w x q over each group, q being the codes nearest to (x - offset) * inverse. Without an offset the
// first one is not needed, and left out.
struct CodeSums {
    Floats q, qq, xq;
};

template <bool Shifted, bool Uniform, typename CodeSet>
CodeSums codeSums(const Tile& tile, const CodeSet& codes, const Floats& inverse, const Floats& offset)
{
    const Floats shift = offset * inverse;
    Floats q = 0.0f, qq = 0.0f, xq = 0.0f;
    for (int i = 0; i < tile.count; ++i) {
        const Floats at = tile.x[i] * inverse;
        const Floats code = codes.nearest(Shifted ? at - shift : at);
        const Floats weighted = Uniform ? code : tile.w[i] * code;
        if constexpr (Shifted)
            q += weighted;
        qq += weighted * code;
        xq += tile.wx[i] * code;
    }
    return {Shifted ? groupSum(tile, q) : q, groupSum(tile, qq), groupSum(tile, xq)};
}

template <typename CodeSet>
CodeSums sumsOf(const Tile& tile, const CodeSet& codes, const Floats& inverse)
{
    return tile.uniform ? codeSums<false, true>(tile, codes, inverse, 0.0f)
                        : codeSums<false, false>(tile, codes, inverse, 0.0f);
}

template <typename CodeSet>
CodeSums sumsOf(const Tile& tile, const CodeSet& codes, const Floats& inverse, const Floats& offset)
{
    return tile.uniform ? codeSums<true, true>(tile, codes, inverse, offset)
                        : codeSums<true, false>(tile, codes, inverse, offset);
}

// 1 / x; 0 where x is 0, so that all values come to lie on code 0.
inline Floats inverseOf(const Floats& x)
{
    return select(x == Floats(0.0f), 0.0f, Floats(1.0f) / x);
}

// The best scale of each group by itself, in the tile's units. fine: looks around the best one found. Blocks with
// common scales do that by themselves.
Floats bestScales(const Tile& tile, const Codes& codes, bool fine, Effort effort);

// The best scale and offset of each group by itself. belowZero: offset at most 0, where formats store the magnitude of
// a minimum. The tile has to be centred; the offset is that of the values as they were before.
struct GroupGrids {
    Floats scale, offset, code; // code: weighted mean of the codes
};
GroupGrids bestGrids(const Tile& tile, const Codes& codes, bool belowZero, bool fine, Effort effort);

} // namespace quern
