#include "core/error.h"
#include "core/parallel.h"
#include "core/quantizer.h"

// Every block on its own; with calibration, errors count by how large the inputs they meet are:
// E (w.x - q.x)^2 = sum_i E[x_i^2] (w_i - q_i)^2 if the x_i are uncorrelated.
namespace quern {
namespace {

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    const auto cols = static_cast<std::size_t>(in.weights.cols());
    const std::size_t rowBytes = in.format.rowBytes(in.weights.cols());
    const Fit fit {.importance = in.importance, .low = in.low, .high = in.high, .effort = in.effort};
    parallelFor(in.weights.rows(), progress, [&](long row) {
        in.format.encode(in.format, {in.weights.row(row).data(), cols}, fit,
                         out.data() + static_cast<std::size_t>(row) * rowBytes);
    });
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
