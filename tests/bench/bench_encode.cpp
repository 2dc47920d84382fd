// Encoders and decoders of GGUF types, one thread, weights a second; with and without importance.
#include "core/blockformat.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <random>

using namespace quern;

namespace {

constexpr std::size_t kCols = 4096;

std::vector<float> normal(unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> draw;
    std::vector<float> x(kCols);
    for (float& v : x)
        v = draw(random);
    return x;
}

void encode(benchmark::State& state, const BlockFormat* format, bool weighted)
{
    std::vector<float> x = normal(1), importance = normal(2);
    for (float& v : x)
        v *= 0.02f;
    for (float& v : importance)
        v = std::exp(v);
    std::vector<std::byte> blocks(format->rowBytes(kCols));
    const Fit fit {.importance = weighted ? std::span<const float>(importance) : std::span<const float> {},
                   .low = -0.1f,
                   .high = 0.1f};
    for (auto _ : state) {
        format->encode(*format, x, fit, blocks.data());
        benchmark::DoNotOptimize(blocks.data());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCols));
}

void decode(benchmark::State& state, const BlockFormat* format)
{
    std::vector<std::byte> blocks(format->rowBytes(kCols), std::byte {0x2A});
    std::vector<float> x(kCols);
    for (auto _ : state) {
        format->decode(*format, blocks.data(), x);
        benchmark::DoNotOptimize(x.data());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kCols));
}

const bool kRegistered = [] {
    for (const BlockFormat* format : blockFormats()) {
        if (!format->inGguf())
            continue;
        const std::string name(format->name);
        benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode, format);
        if (format->encode && !format->floating()) {
            benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, format, false);
            benchmark::RegisterBenchmark(("encodeWithImportance/" + name).c_str(), encode, format, true);
        }
    }
    return true;
}();

} // namespace
