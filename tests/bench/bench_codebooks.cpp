// Encoders of codebook, ternary and four-bit float types against ggml's, in the same run on the same rows: processor
// time of one thread, and what is lost. speed: weights a second; speed_ratio: ggml's time to ours; error_ratio: our
// weighted squared error to ggml's over normal, Laplace, Student-t and outlier-channel rows; error_worst: of one kind.
#include "core/blockformat.h"
#include "tests/judge/ggml.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <random>

using namespace quern;

namespace {

constexpr std::size_t kCols = 1024, kRows = 16;

std::vector<float> rowsOf(int shape)
{
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::exponential_distribution<float> exponential;
    std::student_t_distribution<float> student(4);
    std::vector<float> x(kRows * kCols);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float v = normal(random);
        x[i] = shape == 0 ? v
            : shape == 1  ? std::copysign(exponential(random), v)
            : shape == 2  ? student(random)
                          : v * (i % kCols % 97 == 0 ? 20.0f : 1.0f);
        x[i] *= 0.02f;
    }
    return x;
}

double processorSeconds()
{
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

double error(const std::vector<float>& x, const std::vector<float>& y, const std::vector<float>& w)
{
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum += (w.empty() ? 1.0 : double(w[i % kCols])) * std::pow(double(x[i]) - double(y[i]), 2);
    return sum;
}

void againstGgml(benchmark::State& state, const BlockFormat* format, bool weighted)
{
    const judge::Ggml& ggml = judge::Ggml::instance();
    const int id = static_cast<int>(format->id);
    std::mt19937 random(8);
    std::normal_distribution<float> normal;
    std::vector<float> importance(weighted ? kCols : 0);
    for (float& w : importance)
        w = std::exp(1.5f * normal(random));
    const Fit fit {.importance = importance};
    std::vector<std::byte> blocks(kRows * format->rowBytes(kCols));
    const auto encodeAll = [&](const std::vector<float>& x) {
        for (std::size_t row = 0; row < kRows; ++row)
            format->encode(*format, std::span(x).subspan(row * kCols, kCols), fit,
                           blocks.data() + row * format->rowBytes(kCols));
    };
    double ratio = 0, worst = 0, theirs = 0;
    for (int shape = 0; shape < 4; ++shape) {
        const std::vector<float> x = rowsOf(shape);
        encodeAll(x);
        const auto n = static_cast<std::int64_t>(x.size());
        const double ours = error(x, ggml.decode(id, blocks, n), importance);
        const double before = processorSeconds();
        const auto other = ggml.encode(id, x, kRows, kCols, weighted ? importance.data() : nullptr);
        theirs += processorSeconds() - before;
        const double share = ours / error(x, ggml.decode(id, other, n), importance);
        ratio += share / 4;
        worst = std::max(worst, share);
    }
    const std::vector<float> x = rowsOf(0);
    const double before = processorSeconds();
    for (auto _ : state)
        encodeAll(x);
    const double ours = (processorSeconds() - before) / static_cast<double>(state.iterations());
    const double weights = kRows * kCols;
    state.counters["speed"] = weights / ours;
    state.counters["ggml_speed"] = 4 * weights / theirs;
    state.counters["speed_ratio"] = theirs / 4 / ours;
    state.counters["error_ratio"] = ratio;
    state.counters["error_worst"] = worst;
}

const bool kRegistered = [] {
    if (!judge::Ggml::instance().available())
        return false;
    for (const BlockFormat* format : blockFormats()) {
        if (!format->inGguf() || !format->encode || format->floating())
            continue;
        for (const bool weighted : {false, true})
            if (weighted || !judge::Ggml::instance().find(static_cast<int>(format->id))->needsImportance)
                benchmark::RegisterBenchmark(
                    (std::string(format->name) + (weighted ? "/importance" : "/plain")).c_str(), againstGgml, format,
                    weighted);
    }
    return true;
}();

} // namespace
