#include "core/blockformat.h"
#include "core/stored.h"

// F8_E4M3 and F8_E5M2 of safetensors: OCP 8-bit Floating Point Specification 1.0. E4M3 has no infinities, and its only
// NaN are S.1111.111; E5M2 is the upper half of a binary16. Read only. Both are subsets of F16.
namespace quern {

extern const BlockFormat f16;

namespace {

constexpr float e4m3(int byte)
{
    const int exponent = byte >> 3 & 15, mantissa = byte & 7;
    const int times1024 = exponent == 0 ? 2 * mantissa : (8 + mantissa) << exponent; // 2^(exponent - 7) * 1.mantissa
    const bool nan = (byte & 127) == 127;
    const float value = nan ? std::bit_cast<float>(0x7FC00000u) : static_cast<float>(times1024) * 0x1p-10f;
    return (byte & 128) != 0 ? -value : value;
}

template <auto Value>
constexpr std::array<float, 256> table()
{
    std::array<float, 256> values {};
    for (int i = 0; i < 256; ++i)
        values[static_cast<std::size_t>(i)] = Value(i);
    return values;
}

template <auto Value>
void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    static constexpr std::array<float, 256> kValues = table<Value>();
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = kValues[std::to_integer<std::size_t>(blocks[i])];
}

constexpr float e5m2(int byte)
{
    return halfToFloat(static_cast<std::uint16_t>(byte << 8));
}

} // namespace

extern const BlockFormat f8_e4m3, f8_e5m2;
constinit const BlockFormat f8_e4m3 {
    .name = "F8_E4M3", .id = kOwnFormats, .values = 1, .bytes = 1, .decode = decode<e4m3>, .carrier = &f16};
constinit const BlockFormat f8_e5m2 {
    .name = "F8_E5M2", .id = kOwnFormats + 1, .values = 1, .bytes = 1, .decode = decode<e5m2>, .carrier = &f16};

} // namespace quern
