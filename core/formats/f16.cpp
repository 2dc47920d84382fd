#include "core/blockformat.h"

#include <Eigen/Core>

// F16: IEEE 754 binary16, rounded to nearest even; beyond 65504 it overflows to infinity.
namespace quern {
namespace {

using Stored = Eigen::half;
static_assert(sizeof(Stored) == 2);

void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    auto* stored = reinterpret_cast<Stored*>(blocks);
    for (const float v : x)
        *stored++ = Stored(v);
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* stored = reinterpret_cast<const Stored*>(blocks);
    for (float& v : x)
        v = static_cast<float>(*stored++);
}

void place(const BlockFormat& format, std::byte* block, int, std::span<float> x)
{
    encode(format, x, {}, block);
    decode(format, block, x);
}

} // namespace

extern const BlockFormat f16;
constinit const BlockFormat f16 {
    .name = "F16", .id = 1, .values = 1, .bytes = sizeof(Stored), .encode = encode, .decode = decode, .place = place};

} // namespace quern
