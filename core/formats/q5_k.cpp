#include "core/sixbits.h"

// Q5_K: 256 weights in 8 groups.     x = d * s * q - dmin * m,  q in [0, 31], s and m in [0, 63].     5.5 bits per
// weight. Four bits as in Q4_K, the fifth of weight i in bit i / 32 of high[i % 32].
namespace quern {
namespace {

struct Block {
    SixBitGrids grids;
    std::uint8_t high[32];
    std::uint8_t codes[128];

    static constexpr int kValues = 256, kGroup = 32;
    static constexpr bool kOffset = true;
    static constexpr Codes kCodes {0, 31};

    static constexpr SharedRange kSteps = SixBitGrids::kSteps;

    Grid whole() const { return grids.whole(); }
    Grid grid(int g) const { return grids.grid(g); }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i) {
                const int low = codes[part / 2 * 32 + i] >> (part % 2 * 4) & 15;
                v[32 * part + i] = static_cast<std::int8_t>(low | (high[i] >> part & 1) << 4);
            }
    }
    void set(int i, int v)
    {
        setBits(codes[i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15, v);
        setBits(high[i % 32], i / 32, 1, v >> 4);
    }
    void pack(const std::int8_t* v)
    {
        for (int i = 0; i < 32; ++i) {
            unsigned fifth = 0;
            for (int part = 0; part < 4; ++part) {
                const unsigned a = static_cast<std::uint8_t>(v[64 * part + i]),
                               b = static_cast<std::uint8_t>(v[64 * part + i + 32]);
                codes[32 * part + i] = static_cast<std::uint8_t>((a & 15) | (b & 15) << 4);
                fifth |= (a >> 4 | b >> 4 << 1) << (2 * part);
            }
            high[i] = static_cast<std::uint8_t>(fifth);
        }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(Tile& tile, Effort effort) { return findSharedGrids(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole) { grids.setWhole(whole); }
    void setSteps(int g, int scale, int minimum) { grids.scales.set(g, scale, minimum); }
};
static_assert(sizeof(Block) == 176);

} // namespace

extern const BlockFormat q5_k;
constinit const BlockFormat q5_k = formatOf<Block>("Q5_K", 13, encodeTiles<Block>);

} // namespace quern
