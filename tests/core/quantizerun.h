#pragma once

#include "core/quantize.h"
#include "tests/core/modelmaker.h"

#include <cmath>

// Runs of quantize on a tiny model.
namespace quantizerun {

using namespace quern;

// Two matrices, two experts in one tensor, a vector.
inline Model sample(const char* format = "BF16")
{
    Model model;
    model.metadata.set("general.architecture", std::string("test"));
    modelmaker::add(model, "blk.0.attn_q.weight", {64, 512}, modelmaker::normalWeights(64 * 512, 1), format);
    modelmaker::add(model, "blk.0.ffn_down_exps.weight", {2, 32, 256}, modelmaker::normalWeights(2 * 32 * 256, 2),
                    format);
    modelmaker::add(model, "blk.0.attn_norm.weight", {512}, modelmaker::normalWeights(512, 3, 1), "F32");
    return model;
}

inline Calibration inputs()
{
    Calibration calibration;
    modelmaker::Random random(11);
    const auto add = [&](const char* name, long matrices, long cols) {
        InputStats stats {.sumSquares = Eigen::MatrixXd(matrices, cols), .counts = {}};
        for (long i = 0; i < matrices; ++i) {
            stats.counts.push_back(10.0 + static_cast<double>(i));
            for (long c = 0; c < cols; ++c)
                stats.sumSquares(i, c) = std::exp(8.0 * random.uniform());
        }
        calibration.inputs[name] = stats;
    };
    add("blk.0.attn_q.weight", 1, 512);
    add("blk.0.ffn_down_exps.weight", 2, 256);
    return calibration;
}

inline Choice to(const BlockFormat& format)
{
    return {.quantizer = findQuantizer("nearest"), .format = &format, .settings = {}};
}

inline Recipe all(const BlockFormat& format)
{
    return {.name = {}, .preset = nullptr, .rules = {{"*", to(format)}}};
}

struct Made {
    Model model;
    std::vector<TensorResult> results;
};

inline Made made(const Model& model, const Recipe& recipe, const Calibration* calibration, QuantizeOptions options = {})
{
    NoProgress progress;
    std::vector<TensorResult> results;
    const Plan plan = resolve(recipe, model, calibration);
    options.done = [&](const TensorResult& r) { results.push_back(r); };
    Model result = quantize(model, plan, calibration, options, progress);
    return {std::move(result), std::move(results)};
}

inline bool sameBytes(const Tensor& a, const Tensor& b)
{
    return std::ranges::equal(a.bytes, b.bytes);
}

} // namespace quantizerun
