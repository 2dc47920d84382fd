#include "core/pyramid.h"

#include "core/modelmaker.h"

#include <benchmark/benchmark.h>

// The matrix view: 4096 x 11008 weights reduced to 1200 x 800 pixels.
namespace {

constexpr long kRows = 4096, kCols = 11008, kHeight = 800, kWidth = 1200;

const quern::Model& model()
{
    static const quern::Model made = [] {
        quern::Model m;
        const auto w = modelmaker::normalWeights(kRows * kCols, 1);
        modelmaker::add(m, "w", {kRows, kCols}, w, "BF16");
        modelmaker::add(m, "q", {kRows, kCols}, w, "Q8_0");
        return m;
    }();
    return made;
}

quern::Pyramid pyramid(bool errors)
{
    quern::NoProgress progress;
    return errors ? quern::Pyramid::ofErrors(model().tensors[0], model().tensors[1], progress)
                  : quern::Pyramid::ofWeights(model().tensors[0], progress);
}

void build(benchmark::State& state, bool errors)
{
    model();
    for (auto _ : state)
        benchmark::DoNotOptimize(pyramid(errors).largest());
}

// Weights a pixel, in hundredths.
void window(benchmark::State& state, bool errors)
{
    const quern::Pyramid all = pyramid(errors);
    const double scale = static_cast<double>(state.range(0)) / 100;
    const double height = std::min<double>(kRows, scale * kHeight), width = std::min<double>(kCols, scale * kWidth);
    std::vector<float> out(static_cast<std::size_t>(kHeight * kWidth));
    for (auto _ : state) {
        all.window({0, 0, height, width}, kHeight, kWidth, out.data());
        benchmark::DoNotOptimize(out.data());
    }
}

} // namespace

BENCHMARK_CAPTURE(build, weights, false)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(build, errors, true)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(window, weights, false)
    ->Arg(12)
    ->Arg(100)
    ->Arg(199)
    ->Arg(399)
    ->Arg(401)
    ->Arg(799)
    ->Arg(1600)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK_CAPTURE(window, errors, true)
    ->Arg(12)
    ->Arg(100)
    ->Arg(199)
    ->Arg(201)
    ->Arg(399)
    ->Arg(1600)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
