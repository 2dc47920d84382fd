// The solvers on matrices of up to 4096 x 4096: the factor of H, GPTQ with it, coordinate descent.
#include "core/curvatures.h"
#include "core/feedback.h"
#include "core/parallel.h"
#include "core/rows.h"
#include "tests/bench/measured.h"

using namespace quern;
using measured::normal;
using measured::onAllCores;

namespace {

constexpr long kSize = 4096;

// What a tensor of normal weights and inputs that depend on each other give.
struct Sample {
    Matrix weights = normal(kSize, kSize, 1) * 0.02F;
    InputStats inputs;

    Sample()
    {
        NoProgress progress;
        const long tokens = kSize / 2, rank = kSize / 16;
        const Matrix x = normal(tokens, kSize, 2) + normal(tokens, rank, 3) * normal(rank, kSize, 4) * 0.5F;
        ProductSum sum(kSize);
        sum.add(x, progress);
        inputs.hessians = {std::make_shared<const Hessian>(sum.mean(progress))};
    }
};

const Sample& sample()
{
    static const Sample made;
    return made;
}

std::shared_ptr<const Curvature> curvature(const Quantizer& quantizer, const BlockFormat& format)
{
    NoProgress progress;
    const Settings settings;
    return Curvatures().of({&quantizer, &format, settings}, &sample().inputs, 0, progress);
}

void makeCurvature(benchmark::State& state, const char* method)
{
    const Quantizer& quantizer = *findQuantizer(method);
    const BlockFormat& format = *findBlockFormat(std::string_view("Q4_K"));
    sample();
    for (auto _ : state)
        benchmark::DoNotOptimize(curvature(quantizer, format));
}

void solve(benchmark::State& state, const char* method, const char* name, long rows)
{
    const Quantizer& quantizer = *findQuantizer(method);
    const BlockFormat& format = *findBlockFormat(std::string_view(name));
    const auto ready = quantizer.curvature ? curvature(quantizer, format) : nullptr;
    const Settings settings;
    const Matrix weights = sample().weights.topRows(rows);
    std::vector<std::byte> blocks(static_cast<std::size_t>(rows) * format.rowBytes(kSize));
    NoProgress progress;
    for (auto _ : state)
        quantizer.run({.weights = weights,
                       .importance = {},
                       .low = 0,
                       .high = 0,
                       .format = format,
                       .settings = settings,
                       .curvature = ready.get()},
                      blocks, progress);
    state.SetItemsProcessed(state.iterations() * rows * kSize);
}

constexpr long kFewRows = 1024; // of formats that take long
BENCHMARK_CAPTURE(makeCurvature, gptq, "gptq")->Apply(onAllCores);
BENCHMARK_CAPTURE(makeCurvature, descent, "descent")->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, nearest / Q4_K, "nearest", "Q4_K", kSize)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, gptq / Q4_K, "gptq", "Q4_K", kSize)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, descent / Q4_K, "descent", "Q4_K", kSize)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, gptq_descent / Q4_K, "gptq+descent", "Q4_K", kSize)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, gptq / IQ1_S, "gptq", "IQ1_S", kFewRows)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, descent / IQ1_S, "descent", "IQ1_S", kFewRows)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, gptq / IQ2_XS, "gptq", "IQ2_XS", kFewRows)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, descent / IQ2_XS, "descent", "IQ2_XS", kFewRows)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, gptq / IQ3_S, "gptq", "IQ3_S", kFewRows)->Apply(onAllCores);
BENCHMARK_CAPTURE(solve, descent / IQ3_S, "descent", "IQ3_S", kFewRows)->Apply(onAllCores);

} // namespace
