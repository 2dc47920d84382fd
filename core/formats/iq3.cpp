#include "core/formats/iq3grid.h"
#include "core/lattice.h"

// IQ3_XXS: 256 weights in vectors of four.     x = d * (1/2 + s) / 2 * sign * magnitude, s in [0, 15], magnitudes of a
// codebook of 256 vectors.     3.0625 bits per weight.
// IQ3_S: x = d * (1 + 2 s) * sign * magnitude, a codebook of 512.     3.4375 bits per weight.
namespace quern {
namespace {

constexpr Codebook kGridXxs(spread<4>(kIq3xxs, 3, std::array<std::int8_t, 8> {4, 12, 20, 28, 36, 44, 52, 62}));
constexpr Codebook kGridS(spread<4>(kIq3s, 3, std::array<std::int8_t, 8> {1, 3, 5, 7, 9, 11, 13, 15}));

constexpr std::size_t kVectors = kLatticeValues / 4, kScaled = 32, kGroups = kLatticeValues / kScaled;

Target<4> targetOf(const Sample& sample, std::size_t v)
{
    return {sample.x + 4 * v, sample.w + 4 * v};
}

// Of 32 weights: four times 7 bits of signs (the eighth makes them even), then s.
struct Xxs {
    Half d;
    std::uint8_t index[64];
    Stored<std::uint32_t> signsAndScales[8];

    static constexpr Ladder kLadder {0.25f, 16};
    class Search;
    static void place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x);

    float scale(int v) const { return d * (0.5f + static_cast<float>(signsAndScales[v / 8] >> 28)) * 0.5f; }
    // Of vector v, the sign of its first weight in bit 0.
    int signs(int v) const { return evenSigns(signsAndScales[v / 8] >> (v % 8 / 2 * 7)) >> (v % 2 * 4) & 15; }
    void decodeVector(int v, float* x) const { putSigned(x, scale(v), kGridXxs.vectors[index[v]], signs(v)); }
    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s)
    {
        signsAndScales[g] = (signsAndScales[g] & 0x0FFFFFFF) | static_cast<std::uint32_t>(s) << 28;
    }
    // Of the pair of vectors that v belongs to; even.
    void setSigns(int v, int eight)
    {
        const int shift = v % 8 / 2 * 7;
        Stored<std::uint32_t>& bits = signsAndScales[v / 8];
        bits = (bits & ~(127u << shift)) | (static_cast<std::uint32_t>(eight) & 127) << shift;
    }
};
static_assert(sizeof(Xxs) == 98);

// The signs of two vectors together are even. Where those of the weights are odd one is turned: in the first vector, or
// in the second.
class Xxs::Search {
public:
    explicit Search(const Sample& sample)
        : bounds(boundsOf<kScaled>(sample, {28.0f, 24.0f, 62.0f}))
        , m_sample(sample)
    {
        MomentTable<256> table;
        for (std::size_t u = 0; u < units.size(); ++u) {
            const bool odd = targetOf(sample, 2 * u).odd() != targetOf(sample, 2 * u + 1).odd();
            Shortlist* lists = m_lists.data() + 4 * u;
            units[u] = {.parts = 2, .ways = odd ? 2 : 1, .lists = lists};
            for (std::size_t part = 0; part < 2; ++part) {
                const Target<4> target = targetOf(sample, 2 * u + part);
                kGridXxs.moments(target, table);
                shorten(table, bounds[u / 4], 0, lists[odd ? 2 - part : part]);
                if (!odd)
                    continue;
                kGridXxs.turnSign(target, table);
                shorten(table, bounds[u / 4], 0, lists[3 * part]);
            }
        }
    }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    void store(Xxs& block, std::size_t u, const UnitCodes& codes) const
    {
        int eight = 0;
        for (std::size_t part = 0; part < 2; ++part) {
            const Target<4> target = targetOf(m_sample, 2 * u + part);
            const bool turned = units[u].ways == 2 && codes.way == static_cast<int>(part);
            const int signs = turned ? kGridXxs.turnedSigns(target, codes.code[part]) : target.negative;
            eight |= signs << (4 * part);
            block.index[2 * u + part] = static_cast<std::uint8_t>(codes.code[part]);
        }
        block.setSigns(static_cast<int>(2 * u), eight);
    }

    std::array<Unit, kVectors / 2> units;
    std::array<ScaleBounds, kGroups> bounds;

private:
    const Sample& m_sample;
    std::array<Shortlist, 2 * kVectors> m_lists;
};

// The other vector of the pair keeps its signs, so this one's are as odd as those.
void Xxs::place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<Xxs*>(bytes);
    const int v = first / 4, shift = v % 2 * 4, others = block.signs(v ^ 1);
    const Target<4> target = nearTarget<4>(x, block.scale(v));
    const bool odd = target.odd() != ((std::popcount(static_cast<unsigned>(others)) & 1) != 0);
    MomentTable<256> table;
    kGridXxs.moments(target, table);
    if (odd)
        kGridXxs.turnSign(target, table);
    const int index = bestCodeword(table, std::abs(block.scale(v)));
    const int signs = odd ? kGridXxs.turnedSigns(target, static_cast<std::size_t>(index)) : target.negative;
    block.index[v] = static_cast<std::uint8_t>(index);
    block.setSigns(v, signs << shift | others << (4 - shift));
    block.decodeVector(v, x.data());
}

// The ninth bit of vector v's index is bit v % 8 of high[v / 8]; a scale for 32 weights, low half first.
struct S {
    Half d;
    std::uint8_t low[64];
    std::uint8_t high[8];
    std::uint8_t signs[32];
    std::uint8_t scales[4];

    static constexpr Ladder kLadder {1.0f, 16};
    class Search;
    static void place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x);

    float scale(int v) const { return d * static_cast<float>(1 + 2 * (scales[v / 16] >> (v / 8 % 2 * 4) & 15)); }
    void decodeVector(int v, float* x) const
    {
        const int index = low[v] | (high[v / 8] >> (v % 8) & 1) << 8;
        putSigned(x, scale(v), kGridS.vectors[static_cast<std::size_t>(index)], signs[v / 2] >> (v % 2 * 4));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 64; ++v, x += 4)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int itsSigns)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(high[v / 8], v % 8, 1, index >> 8);
        setBits(signs[v / 2], v % 2 * 4, 15, itsSigns);
    }
};
static_assert(sizeof(S) == 110);

class S::Search {
public:
    explicit Search(const Sample& sample)
        : bounds(boundsOf<kScaled>(sample, {7.0f, 6.0f, 15.0f}))
        , m_sample(sample)
    {
        MomentTable<512> table;
        for (std::size_t v = 0; v < kVectors; ++v) {
            units[v].lists = &m_lists[v];
            kGridS.moments(targetOf(sample, v), table);
            shorten(table, bounds[v / 8], 0, m_lists[v]);
        }
    }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    void store(S& block, std::size_t v, const UnitCodes& codes) const
    {
        block.setCode(static_cast<int>(v), codes.code[0], targetOf(m_sample, v).negative);
    }

    std::array<Unit, kVectors> units;
    std::array<ScaleBounds, kGroups> bounds;

private:
    const Sample& m_sample;
    std::array<Shortlist, kVectors> m_lists;
};

void S::place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<S*>(bytes);
    const int v = first / 4;
    const Target<4> target = nearTarget<4>(x, block.scale(v));
    MomentTable<512> table;
    kGridS.moments(target, table);
    block.setCode(v, bestCodeword(table, std::abs(block.scale(v))), target.negative);
    block.decodeVector(v, x.data());
}

} // namespace

extern const BlockFormat iq3_xxs, iq3_s;
constinit const BlockFormat iq3_xxs = latticeFormat<Xxs, 4>("IQ3_XXS", 18, 32);
constinit const BlockFormat iq3_s = latticeFormat<S, 4>("IQ3_S", 21, 32, false);

} // namespace quern
