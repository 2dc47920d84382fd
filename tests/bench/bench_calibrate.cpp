#include "core/hessian.h"
#include "core/modelmaker.h"
#include "core/multiply.h"
#include "core/parallel.h"

#include <benchmark/benchmark.h>

// Sums of x xᵀ, and products of whole matrices of the same sizes. flop/s: a sum of products counts n^2 T, since half of
// the matrix is the mirror image of the other; a whole product 2 n^2 T.
namespace {

constexpr long kTokens = 2048;

quern::Matrix inputs(long rows, long cols)
{
    const auto values = modelmaker::normalWeights(static_cast<std::size_t>(rows * cols), 1, 1);
    return Eigen::Map<const quern::Matrix>(values.data(), rows, cols);
}

void rate(benchmark::State& state, double flops)
{
    state.counters["flop/s"]
        = benchmark::Counter(flops * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void productSum(benchmark::State& state)
{
    const long n = state.range(0);
    const quern::Matrix x = inputs(kTokens, n);
    quern::NoProgress progress;
    quern::ProductSum sum(n);
    for (auto _ : state)
        sum.add(x, progress);
    rate(state, static_cast<double>(n * n * kTokens));
}

void eigenProduct(benchmark::State& state)
{
    const long n = state.range(0);
    const quern::Matrix x = inputs(kTokens, n);
    quern::Matrix y(n, n);
    for (auto _ : state) {
        y.noalias() = x.transpose() * x;
        benchmark::DoNotOptimize(y.data());
    }
    rate(state, static_cast<double>(2 * n * n * kTokens));
}

void ownProduct(benchmark::State& state)
{
    const long n = state.range(0);
    const quern::Matrix x = inputs(n, kTokens);
    quern::PackedMatrix w(n, kTokens);
    for (long i = 0; i < w.panels(); ++i)
        quern::packRows(x.row(i * quern::PackedMatrix::panelRows()).data(), kTokens, w.rowsOf(i), kTokens, w.panel(i));
    quern::Matrix y;
    quern::NoProgress progress;
    for (auto _ : state)
        quern::multiply(x, w, y, progress);
    rate(state, static_cast<double>(2 * n * n * kTokens));
}

} // namespace

BENCHMARK(productSum)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(eigenProduct)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(ownProduct)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
