// Half-quadratic quantization of normal weights, on one core.
#include "core/parallel.h"
#include "core/quantizer.h"

#include <benchmark/benchmark.h>

#include <random>

using namespace quern;

namespace {

constexpr long kRows = 512, kCols = 4096;

const Matrix& weights()
{
    static const Matrix made = [] {
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0f, 0.02f);
        return Matrix(Matrix::NullaryExpr(kRows, kCols, [&] { return normal(random); }));
    }();
    return made;
}

void quantize(benchmark::State& state, const char* quantizer, const char* name)
{
    setThreads(1);
    const BlockFormat& format = *findBlockFormat(std::string_view(name));
    std::vector<std::byte> blocks(kRows * format.rowBytes(kCols));
    const QuantizerInput input {weights(), {}, -0.1f, 0.1f, format, {}};
    NoProgress progress;
    for (auto _ : state)
        findQuantizer(quantizer)->run(input, blocks, progress);
    state.SetItemsProcessed(state.iterations() * kRows * kCols);
}

BENCHMARK_CAPTURE(quantize, range / INT4_G64_MIN, "nearest", "INT4_G64_MIN")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(quantize, hqq / INT4_G64_MIN, "hqq", "INT4_G64_MIN")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(quantize, hqq / INT2_G16_MIN, "hqq", "INT2_G16_MIN")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(quantize, hqq / INT3_ROW_MIN, "hqq", "INT3_ROW_MIN")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(quantize, hqq / Q4_1, "hqq", "Q4_1")->Unit(benchmark::kMillisecond);

} // namespace
