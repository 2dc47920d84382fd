#include "core/encode.h"

#include <algorithm>

// Q8_0: 32 weights, symmetric, one scale.     x = d * q,  q in [-128, 127].     8.5 bits per weight.
// Encoders use [-127, 127]; -128 is there for whoever places it.
namespace quern {
namespace {

struct Block {
    Half d;
    std::int8_t codes[32];

    static constexpr int kValues = 32, kGroup = 32;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const { std::memcpy(v, codes, sizeof(codes)); }
    void set(int i, int v) { codes[i] = static_cast<std::int8_t>(v); }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -128, 127)); }

    static constexpr Codes kCodes {-127, 127};
    static auto find(const Tile& tile, Effort effort) { return findScales(tile, kCodes, effort); }
    void setParameters(const Grid& grid) { d = grid.scale; }
    void pack(const std::int8_t* v) { std::memcpy(codes, v, sizeof(codes)); }
};
static_assert(sizeof(Block) == 34);

// The largest magnitude becomes 127, at the speed of memory.
void encodeAtOnce(std::span<const float> x, std::byte* bytes)
{
    auto* block = reinterpret_cast<Block*>(bytes);
    for (std::size_t c = 0; c < x.size(); c += Block::kValues, ++block) {
        std::uint32_t largest = 0; // bits of magnitudes sort like the magnitudes
        for (std::size_t i = 0; i < Block::kValues; ++i)
            largest = std::max(largest, std::bit_cast<std::uint32_t>(x[c + i]) & 0x7FFFFFFFu);
        block->d = finiteHalf(std::bit_cast<float>(largest) / 127.0f);
        const float d = block->d, codesPerUnit = d == 0.0f ? 0.0f : 1.0f / d;
        for (std::size_t i = 0; i < Block::kValues; ++i)
            block->codes[i] = static_cast<std::int8_t>(roundedWithin(x[c + i] * codesPerUnit, -127, 127));
    }
}

// A search lowers the error by an eighth, with importance by a quarter, and takes twice as long or more.
void encode(const BlockFormat& format, std::span<const float> x, const Fit& fit, std::byte* bytes)
{
    if (fit.effort == Effort::Fast)
        encodeAtOnce(x, bytes);
    else
        encodeTiles<Block>(format, x, fit, bytes);
}

} // namespace

extern const BlockFormat q8_0;
constinit const BlockFormat q8_0 = formatOf<Block>("Q8_0", 8, encode);

} // namespace quern
