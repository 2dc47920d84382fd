#include "core/error.h"
#include "core/parallel.h"
#include "core/quantizer.h"
#include "core/rows.h"

// Every block on its own; with calibration, errors count by how large the inputs they meet are:
// E (w.x - q.x)^2 = sum_i E[x_i^2] (w_i - q_i)^2 if the x_i are uncorrelated.
namespace quern {
namespace {

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    const Fit fit = in.fit(in.importance);
    parallelFor(in.weights.rows(), progress, [&](long row) { encodeRow(in.format, in.weights, row, fit, out); });
}

} // namespace

extern const Quantizer nearest;
constinit const Quantizer nearest {
    .name = "nearest",
    .summary = QUERN_TEXT("core", "Rounds every block on its own to the values nearest to its weights."),
    .needs = Needs::Nothing,
    .params = {},
    .supports = [](const BlockFormat& format) { return format.encode != nullptr; },
    .run = run};

} // namespace quern
