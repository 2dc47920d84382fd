#include "core/stats.h"

#include "core/distortion.h"
#include "core/modelmaker.h"

#include <benchmark/benchmark.h>

// Statistics and distortion of a 4096 x 11008 matrix, as in the feed forward part of a 7B model.
namespace {

constexpr long kRows = 4096, kCols = 11008;

const quern::Tensor& weights(const char* format)
{
    static std::map<std::string, quern::Model> models;
    quern::Model& model = models[format];
    if (model.tensors.empty())
        modelmaker::add(model, "w", {kRows, kCols}, modelmaker::normalWeights(kRows * kCols, 1), format);
    return model.tensors[0];
}

void rate(benchmark::State& state)
{
    state.counters["weights/s"] = benchmark::Counter(
        static_cast<double>(kRows * kCols) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void stats(benchmark::State& state, const char* format)
{
    const quern::Tensor& tensor = weights(format);
    quern::NoProgress progress;
    for (auto _ : state)
        benchmark::DoNotOptimize(quern::tensorStats(tensor, 2048, progress).kurtosis);
    rate(state);
}

void distortion(benchmark::State& state, const char* format)
{
    const quern::Tensor &original = weights("BF16"), &stored = weights(format);
    quern::NoProgress progress;
    for (auto _ : state)
        benchmark::DoNotOptimize(quern::distortion(original, stored, {}, progress).errorSquares);
    rate(state);
}

void distortionOfRows(benchmark::State& state)
{
    const auto w = modelmaker::normalWeights(kCols, 2), q = modelmaker::normalWeights(kCols, 3);
    for (auto _ : state)
        benchmark::DoNotOptimize(quern::distortion(w.data(), q.data(), nullptr, kCols).errorSquares);
    state.counters["weights/s"] = benchmark::Counter(
        static_cast<double>(kCols) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

} // namespace

BENCHMARK_CAPTURE(stats, BF16, "BF16")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(stats, F16, "F16")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(stats, F32, "F32")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(stats, Q8_0, "Q8_0")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(distortion, Q8_0, "Q8_0")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(distortionOfRows);
