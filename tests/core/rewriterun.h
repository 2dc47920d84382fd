#pragma once

#include "core/calibrate.h"
#include "tests/core/forwardrun.h"
#include "tests/core/modelmaker.h"
#include "tests/core/tinymodels.h"

// Tiny models and what they see, for tests of what leaves their function as it was.
namespace rewriterun {

constexpr long kSequence = 24;

inline quern::Calibration calibrated(const quern::Model& model, bool hessians = true)
{
    quern::NoProgress progress;
    const long vocabulary = quern::openNetwork(model).sizes.vocabulary;
    return quern::calibrate(model, {kSequence, forwardrun::someTokens(8 * kSequence, vocabulary)},
                            {.hessians = hessians}, progress);
}

// The same model with three channels of every attention norm 12 times as large: such as scales are for.
inline quern::Model withOutliers(quern::Model model)
{
    for (const quern::Tensor& tensor : std::vector(model.tensors)) {
        if (quern::kindOf(tensor.name) != "attn_norm")
            continue;
        quern::Matrix weights = quern::decoded(tensor);
        for (const long channel : {3L, 17L, 40L})
            weights(0, channel) *= 12;
        std::erase_if(model.tensors, [&](const quern::Tensor& other) { return other.name == tensor.name; });
        modelmaker::add(model, tensor.name, tensor.shape, std::vector(weights.data(), weights.data() + weights.size()));
    }
    return model;
}

// Logits of two sequences.
inline quern::Matrix logitsOf(const quern::Model& model)
{
    const quern::Network network = quern::openNetwork(model);
    return forwardrun::logits(network, forwardrun::someTokens(2 * kSequence, network.sizes.vocabulary), kSequence);
}

inline double difference(const quern::Matrix& found, const quern::Matrix& expected)
{
    return double {(found - expected).cwiseAbs().maxCoeff()} / double {expected.cwiseAbs().maxCoeff()};
}

} // namespace rewriterun
