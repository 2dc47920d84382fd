#include "core/encode.h"

// Q3_K: 256 weights in 16 groups.     x = d * s * q,  q in [-4, 3], s in [-32, 31].     3.4375 bits per weight.
// q + 4: two bits as in Q2_K, the third of weight i in bit i / 32 of high[i % 32].
// s + 32 of group g: four bits in half g / 8 of scales[g % 8], two at 2 * (g / 4) of scales[8 + g % 4].
namespace quern {
namespace {

struct Block {
    std::uint8_t high[32];
    std::uint8_t codes[64];
    std::uint8_t scales[12];
    Half d;

    static constexpr int kValues = 256, kGroup = 16;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-4, 3};

    static constexpr SharedRange kSteps {16, -32, 31};

    Grid whole() const { return {d, 0.0f}; }
    Grid grid(int g) const
    {
        const int low = scales[g % 8] >> (g / 8 * 4) & 15, top = scales[8 + g % 4] >> (g / 4 * 2) & 3;
        return {d * static_cast<float>((low | top << 4) - 32), 0.0f};
    }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i) {
                const int low = codes[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
                v[32 * part + i] = static_cast<std::int8_t>((low | (high[i] >> part & 1) << 2) - 4);
            }
    }
    void set(int i, int v)
    {
        setBits(codes[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, v + 4);
        setBits(high[i % 32], i / 32, 1, (v + 4) >> 2);
    }
    void pack(const std::int8_t* v)
    {
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const std::int8_t* q = v + 128 * half + i;
                codes[32 * half + i]
                    = static_cast<std::uint8_t>((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
                const int bits = (q[0] >= 0) | (q[32] >= 0) << 1 | (q[64] >= 0) << 2 | (q[96] >= 0) << 3;
                high[i] = static_cast<std::uint8_t>(high[i] | bits << (4 * half));
            }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findSharedScales(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole) { d = whole.scale; }
    void setSteps(int g, int scale, int)
    {
        setBits(scales[g % 8], g / 8 * 4, 15, scale + 32);
        setBits(scales[8 + g % 4], g / 4 * 2, 3, (scale + 32) >> 4);
    }
};
static_assert(sizeof(Block) == 110);

} // namespace

extern const BlockFormat q3_k;
constinit const BlockFormat q3_k = formatOf<Block>("Q3_K", 11, encodeTiles<Block>);

} // namespace quern
