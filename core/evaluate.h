#pragma once

#include "core/logitfile.h"
#include "core/model.h"

#include <functional>

namespace quern {

// How a model predicts a text, and how far that is from what its reference predicts.
struct Evaluation {
    PredictionSummary predictions;
    // After the embedding and after each block: norm of the difference of hidden states over norm of the reference's,
    // of all scored positions. Empty without a reference model.
    std::vector<double> hiddenErrors;
    long context = 0, chunks = 0;
    std::string text; // its name; empty if the caller of evaluate has not set it
};

struct EvaluateOptions {
    std::filesystem::path logits; // a base file to write, of the model's own predictions; empty: none
    bool overwrite = false;       // of that file
    // Called now and then with what is known so far, on the calling thread. May be empty.
    std::function<void(const PredictionSummary&)> sofar;
};

// Every chunk is read by itself, from position 0; predictions of the tokens after its first half count, as in
// llama-perplexity. Some chunks go through the model at once, block by block, so that memory is bounded by
// evaluationBytes. Throws Error, Cancelled.
Evaluation evaluate(const Model& model, const Chunks& chunks, const EvaluateOptions& options, Progress& progress);

// Both models in one pass, side by side. They must have the same vocabulary.
Evaluation evaluate(const Model& model, const Model& reference, const Chunks& chunks, const EvaluateOptions& options,
                    Progress& progress);

// Against a base file, on its chunks. The file cuts distributions off 16 nats below the likeliest token and holds 16
// bits of each, which is what divergences below about 1e-5 then consist of.
Evaluation evaluate(const Model& model, const LogitFile& reference, const EvaluateOptions& options, Progress& progress);

// Private memory of a program that evaluates, at most, in bytes. reference: null if there is none.
std::uint64_t evaluationBytes(const Model& model, const Model* reference, const Chunks& chunks);

} // namespace quern
