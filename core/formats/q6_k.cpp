#include "core/encode.h"

// Q6_K: 256 weights in 16 groups.     x = d * s * q,  q in [-32, 31], s in [-128, 127].     6.5625 bits per weight.
// q + 32 of weight i, with part = i % 128 / 32: four bits in half part / 2 of low[i / 128 * 64 + part % 2 * 32 + i %
// 32], two at 2 * part of high[i / 128 * 32 + i % 32].
namespace quern {
namespace {

struct Block {
    std::uint8_t low[128];
    std::uint8_t high[64];
    std::int8_t scales[16];
    Half d;

    static constexpr int kValues = 256, kGroup = 16;
    static constexpr bool kOffset = false;
    static constexpr Codes kCodes {-32, 31};

    static constexpr SharedRange kSteps {16, -128, 127};

    Grid whole() const { return {d, 0.0f}; }
    Grid grid(int g) const { return {d * static_cast<float>(scales[g]), 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int part = 0; part < 8; ++part)
            for (int i = 0; i < 32; ++i) {
                const int bits = low[part / 4 * 64 + part % 2 * 32 + i] >> (part % 4 / 2 * 4) & 15;
                const int top = high[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
                v[32 * part + i] = static_cast<std::int8_t>((bits | top << 4) - 32);
            }
    }
    void set(int i, int v)
    {
        const int part = i % 128 / 32;
        setBits(low[i / 128 * 64 + part % 2 * 32 + i % 32], part / 2 * 4, 15, v + 32);
        setBits(high[i / 128 * 32 + i % 32], part * 2, 3, (v + 32) >> 4);
    }
    void pack(const std::int8_t* v)
    {
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const std::int8_t* in = v + 128 * half + i;
                const int q[4] {in[0] + 32, in[32] + 32, in[64] + 32, in[96] + 32};
                low[64 * half + i] = static_cast<std::uint8_t>((q[0] & 15) | (q[2] & 15) << 4);
                low[64 * half + i + 32] = static_cast<std::uint8_t>((q[1] & 15) | (q[3] & 15) << 4);
                high[32 * half + i]
                    = static_cast<std::uint8_t>(q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6);
            }
    }
    static int nearest(float t) { return nearestCode(t, kCodes); }
    static auto find(const Tile& tile, Effort effort) { return findSharedScales(tile, kCodes, kSteps, effort); }
    void setWhole(const Grid& whole) { d = whole.scale; }
    void setSteps(int g, int scale, int) { scales[g] = static_cast<std::int8_t>(scale); }
};
static_assert(sizeof(Block) == 210);

} // namespace

extern const BlockFormat q6_k;
constinit const BlockFormat q6_k = formatOf<Block>("Q6_K", 14, encodeTiles<Block>);

} // namespace quern
