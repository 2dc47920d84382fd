#include "core/blockformat.h"
#include "core/stored.h"

// F64: IEEE 754 binary64; read with the precision of float.
namespace quern {
namespace {

void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    auto* stored = reinterpret_cast<Stored<double>*>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i)
        stored[i] = static_cast<double>(x[i]);
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* stored = reinterpret_cast<const Stored<double>*>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(static_cast<double>(stored[i]));
}

void place(const BlockFormat& format, std::byte* block, int, std::span<float> x)
{
    encode(format, x, {}, block);
}

} // namespace

extern const BlockFormat f64;
constinit const BlockFormat f64 {
    .name = "F64", .id = 28, .values = 1, .bytes = 8, .encode = encode, .decode = decode, .place = place};

} // namespace quern
