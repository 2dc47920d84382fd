// Linear quantization of a tensor of a 7B model, as a preview does it: read BF16, encode, decode, sum up the errors.
#include "core/blockformat.h"
#include "core/parallel.h"

#include <benchmark/benchmark.h>

#include <random>

using namespace quern;

namespace {

constexpr long kRows = 4096, kCols = 11008;

const std::vector<std::byte>& weights()
{
    static const std::vector<std::byte> stored = [] {
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0f, 0.02f);
        std::vector<float> row(kCols);
        for (float& v : row)
            v = normal(random);
        const BlockFormat& bf16 = *findBlockFormat("BF16");
        std::vector<std::byte> all(static_cast<std::size_t>(kRows) * bf16.rowBytes(kCols));
        for (long i = 0; i < kRows; ++i) {
            std::rotate(row.begin(), row.begin() + 1, row.end());
            bf16.encode(bf16, row, {}, all.data() + static_cast<std::size_t>(i) * bf16.rowBytes(kCols));
        }
        return all;
    }();
    return stored;
}

// Sums in lanes, which compilers turn into vectors.
double errorOf(const std::vector<float>& x, const std::vector<float>& y)
{
    constexpr std::size_t kLanes = 16;
    float sums[kLanes] {};
    for (std::size_t i = 0; i + kLanes <= x.size(); i += kLanes)
        for (std::size_t c = 0; c < kLanes; ++c)
            sums[c] += (x[i + c] - y[i + c]) * (x[i + c] - y[i + c]);
    double error = 0;
    for (const float sum : sums)
        error += sum;
    return error;
}

void quantizeTensor(benchmark::State& state, const BlockFormat& format, long stride)
{
    const BlockFormat& bf16 = *findBlockFormat("BF16");
    const std::byte* stored = weights().data();
    const Fit fit {.low = -0.1f, .high = 0.1f};
    NoProgress progress;
    std::vector<double> errors(kRows);
    for (auto _ : state) {
        parallelFor(kRows / (stride * 16), progress, [&](long part) {
            thread_local std::vector<float> x(kCols), y(kCols);
            thread_local std::vector<std::byte> blocks;
            blocks.resize(format.rowBytes(kCols));
            for (long row = part * stride * 16; row < part * stride * 16 + 16; ++row) {
                bf16.decode(bf16, stored + static_cast<std::size_t>(row) * bf16.rowBytes(kCols), x);
                format.encode(format, x, fit, blocks.data());
                format.decode(format, blocks.data(), y);
                errors[static_cast<std::size_t>(row)] = errorOf(x, y);
            }
        });
        benchmark::DoNotOptimize(errors.data());
    }
    state.SetItemsProcessed(state.iterations() * (kRows / (stride * 16) * 16) * kCols);
}

void exact(benchmark::State& state, const char* name)
{
    quantizeTensor(state, *findBlockFormat(std::string_view(name)), 1);
}

void sampled(benchmark::State& state, const char* name)
{
    quantizeTensor(state, *findBlockFormat(std::string_view(name)), 16);
}

BENCHMARK_CAPTURE(exact, INT4_G128_SYM, "INT4_G128_SYM")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exact, INT4_G128_MIN, "INT4_G128_MIN")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exact, INT4_G128_ZP, "INT4_G128_ZP")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exact, INT3_G64_MIN, "INT3_G64_MIN")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exact, INT8_ROW_SYM, "INT8_ROW_SYM")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exact, Q8_0, "Q8_0")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled, INT4_G128_MIN, "INT4_G128_MIN")->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace
