#include "core/feedback.h"
#include "core/solving.h"

#include <cassert>

// GPTQ (Frantar et al. 2022): columns one after the other, what rounding one costs being made up for by those after it.
// The result is the greedy minimum of tr(E (H + damping) Eᵀ).
namespace quern {
namespace {

constexpr Param kParams[] {kDamping, kOrdering};

CurvatureNeeds needs(const Settings& settings)
{
    return feedbackNeeds(settings, false);
}

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    assert(in.curvature);
    const Fit fit = in.fit({});
    solvePieces(in, out, progress, [&](const Matrix& weights, std::span<std::byte> blocks) {
        encodeWithFeedback(weights, *in.curvature, in.format, fit, blocks);
    });
}

} // namespace

extern const Quantizer gptq;
constinit const Quantizer gptq {
    .name = "gptq",
    .summary
    = QUERN_TEXT("core", "Rounds column by column and lets the columns that follow make up for the error (GPTQ)."),
    .needs = Needs::SecondMoments,
    .params = kParams,
    .supports = [](const BlockFormat& format) { return canSolve(format); },
    .run = run,
    .curvature = needs};

} // namespace quern
