#include "core/encode.h"

// Q2_K: 256 weights in 16 groups.     x = d * s * q - dmin * m,  q in [0, 3], s and m in [0, 15].     2.625 bits per
// weight. Weight i has two bits at 2 * (i % 128 / 32) of byte i / 128 * 32 + i % 32; a group's s is the low half of its
// byte.
namespace quern {
namespace {

struct Block {
    std::uint8_t scales[16];
    std::uint8_t codes[64];
    Half d, dmin;

    static constexpr int kValues = 256, kGroup = 16;
    static constexpr bool kOffset = true;
    static constexpr Codes kCodes {0, 3};

    static constexpr SharedRange kSteps {16, 0, 15};

    Grid whole() const { return {d, -dmin}; }
    Grid grid(int g) const
    {
        return {d * static_cast<float>(scales[g] & 15), -dmin * static_cast<float>(scales[g] >> 4)};
    }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i)
                v[32 * part + i] = static_cast<std::int8_t>(codes[part / 4 * 32 + i] >> (part % 4 * 2) & 3);
    }
    void set(int i, int v) { setBits(codes[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, v); }
    void pack(const std::int8_t* v)
    {
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const std::int8_t* q = v + 128 * half + i;
                codes[32 * half + i] = static_cast<std::uint8_t>(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
            }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(Tile& tile, Effort effort) { return findSharedGrids(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole)
    {
        d = whole.scale;
        dmin = -whole.offset;
    }
    void setSteps(int g, int scale, int minimum) { scales[g] = static_cast<std::uint8_t>(scale | minimum << 4); }
};
static_assert(sizeof(Block) == 84);

} // namespace

extern const BlockFormat q2_k;
constinit const BlockFormat q2_k = formatOf<Block>("Q2_K", 10, encodeTiles<Block>);

} // namespace quern
