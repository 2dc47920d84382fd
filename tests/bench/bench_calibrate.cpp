#include "core/calibrate.h"
#include "core/evaluate.h"
#include "core/hessian.h"
#include "core/inputsums.h"
#include "core/modelmaker.h"
#include "core/multiply.h"
#include "core/parallel.h"

#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>

// What a calibration takes: all of it, beside an evaluation on the same model and text; its parts.
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

// The model of 7 million weights of the shared folder, and the beginning of a text.
struct Reading {
    quern::Model model;
    quern::Chunks chunks;
};

std::optional<Reading> reading()
{
    const std::filesystem::path shared = QUERN_SHARED_DIR;
    std::ifstream file(shared / "text/wiki.test.raw", std::ios::binary);
    if (!file)
        return std::nullopt;
    const std::string text(std::istreambuf_iterator<char>(file), {});
    constexpr long kContext = 512, kChunks = 32;
    quern::NoProgress progress;
    Reading reading {quern::openModel(shared / "models/prose-qwen2"), {}};
    reading.chunks = quern::chunksOf(quern::tokenizerOf(reading.model), text, kContext, kChunks, progress);
    return reading;
}

template <typename Verb>
void run(benchmark::State& state, const Verb& verb)
{
    const auto given = reading();
    if (!given)
        return state.SkipWithError("the model or the text of the shared folder is missing");
    quern::NoProgress progress;
    for (auto _ : state)
        verb(given->model, given->chunks, progress);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(given->chunks.tokens.size()));
}

void calibrate(benchmark::State& state)
{
    run(state, [](const quern::Model& model, const quern::Chunks& chunks, quern::Progress& progress) {
        benchmark::DoNotOptimize(quern::calibrate(model, chunks, {}, progress));
    });
}

void evaluate(benchmark::State& state)
{
    run(state, [](const quern::Model& model, const quern::Chunks& chunks, quern::Progress& progress) {
        benchmark::DoNotOptimize(quern::evaluate(model, chunks, {}, progress));
    });
}

void inputSums(benchmark::State& state)
{
    const quern::Matrix x = inputs(kTokens, state.range(0));
    quern::NoProgress progress;
    quern::InputSums sums("x", 1, x.cols(), false);
    for (auto _ : state)
        sums.add(0, x, progress);
    state.SetItemsProcessed(state.iterations() * x.size());
}

void outputCounts(benchmark::State& state)
{
    const quern::Matrix y = inputs(kTokens, state.range(0));
    quern::NoProgress progress;
    quern::OutputCounts counts("y");
    for (auto _ : state)
        counts.add(y, progress);
    state.SetItemsProcessed(state.iterations() * y.size());
}

} // namespace

BENCHMARK(calibrate)->Unit(benchmark::kMillisecond);
BENCHMARK(evaluate)->Unit(benchmark::kMillisecond);
BENCHMARK(inputSums)->Arg(256)->Arg(4096)->Unit(benchmark::kMillisecond);
BENCHMARK(outputCounts)->Arg(256)->Arg(4096)->Unit(benchmark::kMillisecond);
BENCHMARK(productSum)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(eigenProduct)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(ownProduct)->Arg(768)->Arg(2048)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond)->UseRealTime();
