#pragma once

#include "core/quantize.h"
#include "core/rewrite.h"

namespace quern {

// A model, what is known of its inputs and what is to become of it, after a plan's rewrites.
struct Rewritten {
    Model model; // views of the same bytes
    Calibration calibration;
    Plan plan;              // without rewrites. What changed and was to be copied is rounded to the format it had.
    Calibration heldOut {}; // that of the options; empty without

    // Options for the rest of the work: `options` with what is here. Refers to it.
    QuantizeOptions rest(QuantizeOptions options) const
    {
        options.heldOut = options.heldOut ? &heldOut : nullptr;
        return options;
    }
};

// Every rewrite finds its factors for the formats of the plan, given what those before it made of the model. Tells
// options.rewritten of each. Scales nothing whose blocks are to be copied as they are. Throws Error, Cancelled.
Rewritten rewritten(const Model& model, const Plan& plan, const Calibration* calibration,
                    const QuantizeOptions& options, Progress& progress);

// Share of the progress of quantizing that rewrites take.
double rewritingShare(const Plan& plan);

// What a plan's choice makes of one tensor after a rewrite of nothing but the place that feeds its columns.
struct RewrittenPreview {
    Distortion distortion; // as preview's, exact, from what the rewrite made of the tensor
    FoldSummary fold;      // of that place, each expert counting as one
};
// The choices for other tensors that read the same channels have a say in the scales, too; the plan's rewrites have
// none. Throws Error where nothing feeds the tensor that could be scaled, Cancelled.
RewrittenPreview previewRewritten(const Model& model, std::size_t tensor, const Plan& plan,
                                  const RewriteChoice& rewrite, const Calibration& calibration, Progress& progress);

// Whether the settings and what is known of a model's inputs, if anything, will do. Throws Error.
void checkRewrite(const RewriteChoice& choice, const Calibration* calibration);

// Whether a recipe's rewrites can be done at all. Throws Error. Returns what else there is to say, a sentence each.
// calibration: null if there is none.
std::vector<std::string> checkRewrites(const Recipe& recipe, const Model& model, const Calibration* calibration);

} // namespace quern
