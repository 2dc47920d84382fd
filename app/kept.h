#pragma once

#include "app/findings.h"
#include "app/rundialog.h"

// What running a model on a text finds: taken from the cache, or found now and kept there. folder: of the cache, which
// exists. Any thread.
namespace kept {

// The newest calibration of the model; none if it has not been calibrated.
std::optional<quern::Calibration> calibration(const quern::Model& model, const QString& folder);

// Throws Error, Cancelled.
quern::Calibration calibrated(const quern::Model& model, const TextRun& run, const QString& folder,
                              quern::Progress& progress);

// The newest evaluation of the model under this plan and calibration, which may be null; none if there is none.
std::optional<quern::Evaluation> evaluation(const quern::Model& model, const quern::Plan& plan,
                                            const quern::Calibration* calibration, const QString& folder);

struct Evaluation {
    quern::Evaluation figures;
    Findings findings;                // of quantizing; empty where the figures come from the cache
    std::optional<quern::Error> loss; // why they could not be kept
};
// The model under the plan, compared with itself as it is; alone if the plan changes nothing. Throws Error, Cancelled.
Evaluation evaluated(const quern::Model& model, const quern::Plan& plan, const quern::Calibration* calibration,
                     const TextRun& run, const QString& folder, quern::Progress& progress);

} // namespace kept
