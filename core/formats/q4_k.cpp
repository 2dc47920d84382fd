#include "core/sixbits.h"

// Q4_K: 256 weights in 8 groups.     x = d * s * q - dmin * m,  q in [0, 15], s and m in [0, 63].     4.5 bits per
// weight. Weight i in half i % 64 / 32 of byte i / 64 * 32 + i % 32.
namespace quern {
namespace {

struct Block {
    SixBitGrids grids;
    std::uint8_t codes[128];

    static constexpr int kValues = 256, kGroup = 32;
    static constexpr bool kOffset = true;
    static constexpr Codes kCodes {0, 15};

    static constexpr SharedRange kSteps = SixBitGrids::kSteps;

    Grid whole() const { return grids.whole(); }
    Grid grid(int g) const { return grids.grid(g); }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 4; ++part)
            for (int i = 0; i < 32; ++i) {
                v[64 * part + i] = static_cast<std::int8_t>(codes[32 * part + i] & 15);
                v[64 * part + i + 32] = static_cast<std::int8_t>(codes[32 * part + i] >> 4);
            }
    }
    void set(int i, int v) { setBits(codes[i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15, v); }
    void pack(const std::int8_t* v)
    {
        for (int part = 0; part < 4; ++part)
            for (int i = 0; i < 32; ++i)
                codes[32 * part + i] = static_cast<std::uint8_t>(v[64 * part + i] | v[64 * part + i + 32] << 4);
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(Tile& tile, Effort effort) { return findSharedGrids(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole) { grids.setWhole(whole); }
    void setSteps(int g, int scale, int minimum) { grids.scales.set(g, scale, minimum); }
};
static_assert(sizeof(Block) == 144);

} // namespace

extern const BlockFormat q4_k;
constinit const BlockFormat q4_k = formatOf<Block>("Q4_K", 12, encodeTiles<Block>);

} // namespace quern
