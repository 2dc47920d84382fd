#include "core/blockformat.h"
#include "core/stored.h"

// BF16: the upper half of a float, rounded to nearest even. NaN stay NaN and become quiet.
namespace quern {
namespace {

void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    auto* stored = reinterpret_cast<Stored<std::uint16_t>*>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(x[i]);
        const std::uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
        stored[i] = static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
    }
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* stored = reinterpret_cast<const Stored<std::uint16_t>*>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(stored[i]) << 16);
}

void place(const BlockFormat& format, std::byte* block, int, std::span<float> x)
{
    encode(format, x, {}, block);
    decode(format, block, x);
}

} // namespace

extern const BlockFormat bf16;
constinit const BlockFormat bf16 {
    .name = "BF16", .id = 30, .values = 1, .bytes = 2, .encode = encode, .decode = decode, .place = place};

} // namespace quern
