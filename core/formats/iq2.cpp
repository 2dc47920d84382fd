#include "core/formats/iq2grid.h"
#include "core/lattice.h"

// IQ2_XXS, IQ2_XS, IQ2_S: 256 weights in vectors of eight.     x = d * (1/2 + s) / 4 * sign * magnitude, s in [0, 15],
// magnitudes of a codebook of 256, 512, 1024 vectors from {8, 25, 43}^8.     2.0625, 2.3125, 2.5625 bits per weight.
namespace quern {
namespace {

constexpr std::array<std::int8_t, 3> kLevels {8, 25, 43};
constexpr Codebook kGridXxs(spread<8>(kIq2xxs, 2, kLevels));
constexpr Codebook kGridXs(spread<8>(kIq2xs, 2, kLevels));
constexpr Codebook kGridS(spread<8>(kIq2s, 2, kLevels));

float groupScale(float d, int s)
{
    return d * (0.5f + static_cast<float>(s)) * 0.25f;
}

// Of a Block with kGrid, kEven (whether the number of minus signs is), kScaled (weights that share a scale) and
// setCode(vector, index, signs).
template <typename Block>
class VectorSearch {
    static constexpr std::size_t kVectors = kLatticeValues / 8, kGroups = kLatticeValues / Block::kScaled;

public:
    explicit VectorSearch(const Sample& sample)
        : bounds(boundsOf<Block::kScaled>(sample, {8.0f, 15.0f, 43.0f}))
        , m_sample(sample)
    {
        MomentTable<Block::kGrid.vectors.size()> table;
        for (std::size_t v = 0; v < kVectors; ++v) {
            units[v].lists = &m_lists[v];
            momentsOf(targetOf(v), table);
            shorten(table, bounds[v * kGroups / kVectors], 0, m_lists[v]);
        }
    }
    VectorSearch(const VectorSearch&) = delete;
    VectorSearch& operator=(const VectorSearch&) = delete;

    void store(Block& block, std::size_t v, const UnitCodes& codes) const
    {
        put(block, static_cast<int>(v), targetOf(v), codes.code[0]);
    }
    // Signs are those of the weights, made even where they have to be.
    static void momentsOf(const Target<8>& target, MomentTable<Block::kGrid.vectors.size()>& table)
    {
        Block::kGrid.moments(target, table);
        if (Block::kEven && target.odd())
            Block::kGrid.turnSign(target, table);
    }
    static void put(Block& block, int v, const Target<8>& target, std::size_t index)
    {
        const bool turn = Block::kEven && target.odd();
        const int signs = turn ? Block::kGrid.turnedSigns(target, index) : target.negative;
        block.setCode(v, static_cast<int>(index), signs);
    }

    std::array<Unit, kVectors> units;
    std::array<ScaleBounds, kGroups> bounds;

private:
    Target<8> targetOf(std::size_t v) const { return {m_sample.x + 8 * v, m_sample.w + 8 * v}; }

    const Sample& m_sample;
    std::array<Shortlist, kVectors> m_lists;
};

template <typename Block>
void placeVector(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    const int v = first / 8;
    const float scale = block.scale(v);
    const Target<8> target = nearTarget<8>(x, scale);
    MomentTable<Block::kGrid.vectors.size()> table;
    VectorSearch<Block>::momentsOf(target, table);
    VectorSearch<Block>::put(block, v, target, static_cast<std::size_t>(bestCodeword(table, std::abs(scale))));
    block.decodeVector(v, x.data());
}

// A group of 32: four indices of 8 bits, then four times 7 bits of signs (the eighth makes them even), then s.
struct Xxs {
    Half d;
    struct Group {
        std::uint8_t index[4];
        Stored<std::uint32_t> signsAndScale;
    } groups[8];

    static constexpr const auto& kGrid = kGridXxs;
    static constexpr Ladder kLadder {0.125f, 16};
    static constexpr int kScaled = 32;
    static constexpr bool kEven = true;
    using Search = VectorSearch<Xxs>;
    static constexpr auto place = placeVector<Xxs>;

    float scale(int v) const { return groupScale(d, static_cast<int>(groups[v / 4].signsAndScale >> 28)); }
    void decodeVector(int v, float* x) const
    {
        const Group& group = groups[v / 4];
        putSigned(x, scale(v), kGrid.vectors[group.index[v % 4]], evenSigns(group.signsAndScale >> (v % 4 * 7)));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s)
    {
        Stored<std::uint32_t>& bits = groups[g].signsAndScale;
        bits = (bits & 0x0FFFFFFF) | static_cast<std::uint32_t>(s) << 28;
    }
    void setCode(int v, int index, int signs)
    {
        Group& group = groups[v / 4];
        const int shift = v % 4 * 7;
        group.index[v % 4] = static_cast<std::uint8_t>(index);
        group.signsAndScale
            = (group.signsAndScale & ~(127u << shift)) | (static_cast<std::uint32_t>(signs) & 127) << shift;
    }
};
static_assert(sizeof(Xxs) == 66);

// A vector: nine bits of index, seven of signs as in IQ2_XXS. A scale for 16 weights, low half first.
struct Xs {
    Half d;
    Stored<std::uint16_t> codes[32];
    std::uint8_t scales[8];

    static constexpr const auto& kGrid = kGridXs;
    static constexpr Ladder kLadder {0.125f, 16};
    static constexpr int kScaled = 16;
    static constexpr bool kEven = true;
    using Search = VectorSearch<Xs>;
    static constexpr auto place = placeVector<Xs>;

    float scale(int v) const { return groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15); }
    void decodeVector(int v, float* x) const
    {
        putSigned(x, scale(v), kGrid.vectors[codes[v] & 511], evenSigns(codes[v] >> 9));
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int signs) { codes[v] = static_cast<std::uint16_t>(index | (signs & 127) << 9); }
};
static_assert(sizeof(Xs) == 74);

// A vector: eight bits of index in `low`, two at 2 * (v % 4) of high[v / 4], eight signs. A scale for 16 weights.
struct S {
    Half d;
    std::uint8_t low[32];
    std::uint8_t signs[32];
    std::uint8_t high[8];
    std::uint8_t scales[8];

    static constexpr const auto& kGrid = kGridS;
    static constexpr Ladder kLadder {0.125f, 16};
    static constexpr int kScaled = 16;
    static constexpr bool kEven = false;
    using Search = VectorSearch<S>;
    static constexpr auto place = placeVector<S>;

    float scale(int v) const { return groupScale(d, scales[v / 4] >> (v % 4 / 2 * 4) & 15); }
    void decodeVector(int v, float* x) const
    {
        const int index = low[v] | (high[v / 4] >> (v % 4 * 2) & 3) << 8;
        putSigned(x, scale(v), kGrid.vectors[static_cast<std::size_t>(index)], signs[v]);
    }
    void decode(float* x) const
    {
        for (int v = 0; v < 32; ++v, x += 8)
            decodeVector(v, x);
    }
    void setWhole(float value) { d = value; }
    void setScale(int g, int s) { setBits(scales[g / 2], g % 2 * 4, 15, s); }
    void setCode(int v, int index, int itsSigns)
    {
        low[v] = static_cast<std::uint8_t>(index);
        setBits(high[v / 4], v % 4 * 2, 3, index >> 8);
        signs[v] = static_cast<std::uint8_t>(itsSigns);
    }
};
static_assert(sizeof(S) == 82);

} // namespace

extern const BlockFormat iq2_xxs, iq2_xs, iq2_s;
constinit const BlockFormat iq2_xxs = latticeFormat<Xxs, 8>("IQ2_XXS", 16, 32);
constinit const BlockFormat iq2_xs = latticeFormat<Xs, 8>("IQ2_XS", 17, 16);
constinit const BlockFormat iq2_s = latticeFormat<S, 8>("IQ2_S", 22, 16);

} // namespace quern
