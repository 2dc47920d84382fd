#pragma once

#include "app/findings.h"
#include "app/reading.h"
#include "core/evaluate.h"

// What running a model on a text finds: taken from the cache, or found now and kept there. folder: of the cache, which
// exists. Any thread.
namespace kept {

// The newest calibration of the model, and what it is of; none if it has not been calibrated.
Known calibration(const quern::Model& model, const QString& folder);

// Throws Error, Cancelled.
Known calibrated(const quern::Model& model, const TextRun& run, const QString& folder, quern::Progress& progress);

// The newest evaluation of the model under this plan, made with what is known; none if there is none.
std::optional<quern::Evaluation> evaluation(const quern::Model& model, const quern::Plan& plan, const Known& known,
                                            const QString& folder);

struct Evaluation {
    quern::Evaluation figures;
    Findings findings;                // of quantizing; empty where the figures come from the cache
    std::optional<quern::Error> loss; // why they could not be kept
};
// The model under the plan, compared with itself as it is; alone if the plan changes nothing. Throws Error, Cancelled.
Evaluation evaluated(const quern::Model& model, const quern::Plan& plan, const Known& known, const TextRun& run,
                     const QString& folder, quern::Progress& progress);

} // namespace kept
