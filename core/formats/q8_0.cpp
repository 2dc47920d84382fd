#include "core/blockformat.h"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>

// Q8_0: 32 weights, symmetric, one scale.     x = d * q,  q in [-127, 127].     8.5 bits per weight.
namespace quern {
namespace {

constexpr int kValues = 32;

struct Block {
    Eigen::half d;
    std::int8_t q[kValues];
};
static_assert(sizeof(Block) == 2 + kValues);

std::int8_t rounded(float x, float d)
{
    if (d == 0.0f)
        return 0;
    return static_cast<std::int8_t>(std::clamp(std::nearbyint(x / d), -127.0f, 127.0f));
}

// 8 bits are fine enough that weighting by importance changes nothing worth its time.
void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    auto* block = reinterpret_cast<Block*>(blocks);
    for (std::size_t c = 0; c < x.size(); c += kValues, ++block) {
        float largest = 0.0f;
        for (int i = 0; i < kValues; ++i)
            largest = std::max(largest, std::abs(x[c + i]));
        block->d = Eigen::half(largest / 127.0f);
        for (int i = 0; i < kValues; ++i)
            block->q[i] = rounded(x[c + i], static_cast<float>(block->d));
    }
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* block = reinterpret_cast<const Block*>(blocks);
    for (std::size_t c = 0; c < x.size(); c += kValues, ++block)
        for (int i = 0; i < kValues; ++i)
            x[c + i] = static_cast<float>(block->d) * block->q[i];
}

void place(const BlockFormat&, std::byte* bytes, int first, std::span<float> x)
{
    auto& block = *reinterpret_cast<Block*>(bytes);
    const auto d = static_cast<float>(block.d);
    block.q[first] = rounded(x[0], d);
    x[0] = d * block.q[first];
}

} // namespace

extern const BlockFormat q8_0;
constinit const BlockFormat q8_0 {.name = "Q8_0",
                                  .id = 8,
                                  .values = kValues,
                                  .bytes = sizeof(Block),
                                  .encode = encode,
                                  .decode = decode,
                                  .place = place};

} // namespace quern
