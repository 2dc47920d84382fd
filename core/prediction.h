#pragma once

#include "core/stats.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

// How one token of a text was predicted. Logarithms are natural.
struct Prediction {
    double nll = 0;          // -ln p(the token that follows)
    double referenceNll = 0; // the same of the reference
    double divergence = 0;   // KL(reference || candidate) of the whole distribution, nats
    bool sameTop = false;    // whether both find the same token most likely
};

// logits: one per token of the vocabulary. next: the token that follows.
Prediction predicted(std::span<const float> logits, int next);
Prediction predicted(std::span<const float> logits, std::span<const float> reference, int next);

// A distribution as llama-perplexity's base files store it: ln p = scale * code + lowest, least probable tokens cut
// off 16 nats below the most likely one.
struct StoredDistribution {
    float scale = 0, lowest = 0;
    std::span<const std::uint16_t> codes; // one per token of the vocabulary
};
Prediction predicted(std::span<const float> logits, const StoredDistribution& reference, int next);

// Writes the codes of `logits`; codes: one per token of the vocabulary.
StoredDistribution stored(std::span<const float> logits, std::span<std::uint16_t> codes);

// A mean with its standard error.
struct Mean {
    double value = 0;
    double error = 0;
};

// Of exp(x), where x was averaged: the error to first order.
Mean exponential(const Mean& x);

// Position `share` (0 to 1) of ascending values, between two of them in proportion.
double quantile(std::span<const double> ascending, double share);

// How often values of each magnitude occur: a histogram of log10(value), whose edges are whole multiples of a bin's
// width. Values below `smallest` (> 0), zeros among them, are counted in below. No bins if there is no other.
Histogram decades(std::span<const double> values, double smallest, int binsPerDecade);

// How a candidate predicts a text; the second half only where there is a reference. Definitions of llama-perplexity
// (llama.cpp, tools/perplexity), without its limits: distributions are neither cut off nor rounded.
struct PredictionSummary {
    long tokens = 0;   // predictions counted
    Mean lnPerplexity; // mean of nll; perplexity = exp of it
    double perplexity = 0;

    bool compared = false;
    double referencePerplexity = 0;
    Mean lnRatio;           // ln (perplexity / the reference's): of the same tokens, so errors mostly cancel
    double correlation = 0; // of nll with the reference's
    Mean divergence;
    std::vector<double> divergences; // of every prediction, ascending
    std::vector<double> changes;     // p - reference's p of the following token, ascending
    Mean change;
    double changeRms = 0;
    Mean sameTop; // share of predictions
};

PredictionSummary summary(std::span<const Prediction> predictions, bool compared);

} // namespace quern
