// AWQ's search on a decoder block of the shape of a 7B llama, and what one matrix of it loses then, on all cores.
#include "core/hessian.h"
#include "core/rewriting.h"
#include "tests/bench/measured.h"
#include "tests/core/modelmaker.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using measured::normal;
using measured::onAllCores;

namespace {

constexpr long kWidth = 4096, kFeed = 11008;

// Inputs whose channels differ in size, with some correlation: H = D (I + u uᵀ) D.
std::shared_ptr<const Hessian> moments(const Eigen::RowVectorXf& sizes, unsigned seed)
{
    const Matrix common = normal(1, sizes.cols(), seed);
    std::vector<float> lower;
    lower.reserve(static_cast<std::size_t>(Hessian::values(sizes.cols())));
    for (long i = 0; i < sizes.cols(); ++i)
        for (long j = 0; j <= i; ++j)
            lower.push_back(sizes(i) * sizes(j) * (0.3F * common(0, i) * common(0, j) + (i == j ? 1.0F : 0.0F)));
    return std::make_shared<const Hessian>(Hessian::of(sizes.cols(), std::move(lower)));
}

InputStats inputs(long channels, unsigned seed)
{
    constexpr double kTokens = 1000;
    const Eigen::RowVectorXf sizes = normal(1, channels, seed).array().exp();
    InputStats stats;
    stats.counts = {kTokens};
    stats.sumSquares = kTokens * sizes.cast<double>().array().square();
    stats.sumMagnitudes = kTokens * 0.8 * sizes.cast<double>().array();
    stats.maxMagnitudes = 4 * sizes;
    stats.hessians = {moments(sizes, seed + 1)};
    return stats;
}

struct Block {
    Model model;
    Calibration calibration;
    std::vector<Fold> folds;

    Block()
    {
        const auto number
            = [&](const char* key, long value) { model.metadata.set(key, static_cast<std::uint32_t>(value)); };
        model.metadata.set("general.architecture", std::string("llama"));
        model.metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
        number("llama.block_count", 1);
        number("llama.context_length", 512);
        number("llama.embedding_length", kWidth);
        number("llama.feed_forward_length", kFeed);
        number("llama.attention.head_count", 32);
        modelmaker::add(model, "token_embd.weight", {8, kWidth}, std::vector<float>(8 * kWidth, 1));
        modelmaker::add(model, "output_norm.weight", {kWidth}, std::vector<float>(kWidth, 1));
        const InputStats attention = inputs(kWidth, 1), values = inputs(kWidth, 3), feed = inputs(kWidth, 5),
                         down = inputs(kFeed, 7);
        const Tensor norm1 = vector("attn_norm"), norm2 = vector("ffn_norm");
        const Tensor q = matrix("attn_q", kWidth, kWidth, attention), k = matrix("attn_k", kWidth, kWidth, attention),
                     v = matrix("attn_v", kWidth, kWidth, attention), o = matrix("attn_output", kWidth, kWidth, values),
                     gate = matrix("ffn_gate", kFeed, kWidth, feed), up = matrix("ffn_up", kFeed, kWidth, feed),
                     lower = matrix("ffn_down", kWidth, kFeed, down);
        folds = {{.producer = norm1, .bias = {}, .channels = kWidth, .consumers = {q, k, v}},
                 {.producer = v, .bias = {}, .channels = kWidth, .consumers = {o}},
                 {.producer = norm2, .bias = {}, .channels = kWidth, .consumers = {gate, up}},
                 {.producer = up, .bias = {}, .channels = kFeed, .consumers = {lower}}};
    }

    Tensor vector(const std::string& kind)
    {
        modelmaker::add(model, "blk.0." + kind + ".weight", {kWidth}, std::vector<float>(kWidth, 1));
        return model.tensors.back();
    }

    Tensor matrix(const std::string& kind, long rows, long cols, const InputStats& stats)
    {
        const std::string name = "blk.0." + kind + ".weight";
        modelmaker::add(model, name, {rows, cols}, modelmaker::normalWeights(static_cast<std::size_t>(rows * cols), 1),
                        "BF16");
        calibration.inputs[name] = stats;
        return model.tensors.back();
    }
};

void search(benchmark::State& state, const char* method, const char* format)
{
    static const Block block;
    Targets targets;
    for (const Tensor& tensor : block.model.tensors)
        if (tensor.shape.size() > 1)
            targets.emplace(
                tensor.name,
                Target {findQuantizer(std::string_view(method)), findBlockFormat(std::string_view(format)), {}});
    NoProgress progress;
    for (auto _ : state) {
        std::vector<FoldReport> reports;
        findRewrite("awq")->factors({block.folds, block.calibration, targets, {}}, reports, progress);
        benchmark::DoNotOptimize(reports.data());
    }
}

// Of one matrix, as the window's Methods view compares.
void preview(benchmark::State& state, const char* method, const char* tensor)
{
    static const Block block;
    Recipe recipe;
    recipe.rules.push_back({"blk.*", {findQuantizer(std::string_view(method)), findBlockFormat("Q4_K"), {}}});
    const Plan plan = resolve(recipe, block.model, &block.calibration);
    const auto index = static_cast<std::size_t>(block.model.find(tensor) - block.model.tensors.data());
    NoProgress progress;
    for (auto _ : state) {
        RewrittenPreview found
            = previewRewritten(block.model, index, plan, {findRewrite("awq"), {}}, block.calibration, progress);
        benchmark::DoNotOptimize(found);
    }
}

BENCHMARK_CAPTURE(preview, attn_q / nearest, "nearest", "blk.0.attn_q.weight")->Apply(onAllCores);
BENCHMARK_CAPTURE(preview, attn_q / gptq + descent, "gptq+descent", "blk.0.attn_q.weight")->Apply(onAllCores);
BENCHMARK_CAPTURE(search, nearest / Q4_K, "nearest", "Q4_K")->Apply(onAllCores);
BENCHMARK_CAPTURE(search, nearest / Q2_K, "nearest", "Q2_K")->Apply(onAllCores);
BENCHMARK_CAPTURE(search, gptq / Q4_K, "gptq", "Q4_K")->Apply(onAllCores);

} // namespace
