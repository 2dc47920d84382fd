#include "core/blockformat.h"

#include <cstring>

// F32: IEEE 754 binary32, as it is.
namespace quern {
namespace {

void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    std::memcpy(blocks, x.data(), x.size_bytes());
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    std::memcpy(x.data(), blocks, x.size_bytes());
}

void place(const BlockFormat&, std::byte* block, int, std::span<float> x)
{
    std::memcpy(block, x.data(), x.size_bytes());
}

} // namespace

extern const BlockFormat f32;
constinit const BlockFormat f32 {
    .name = "F32", .id = 0, .values = 1, .bytes = 4, .encode = encode, .decode = decode, .place = place};

} // namespace quern
