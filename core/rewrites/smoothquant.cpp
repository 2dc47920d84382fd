#include "core/foldinputs.h"
#include "core/parallel.h"
#include "core/rewrite.h"

#include <algorithm>
#include <cmath>

// SmoothQuant (Xiao et al. 2022, equation 4): s_j = max|x_j|^alpha / max_i|W_ij|^(1 - alpha) moves what is hard to
// quantize of the inputs into the weights; between norms and what reads them. Weights alone gain nothing from it; a
// runtime that quantizes inputs does.
namespace quern {
namespace {

constexpr Param kAlpha {
    .name = "alpha", .label = QUERN_TEXT("core", "Migration"), .minimum = 0, .maximum = 1, .preset = 0.5};
constexpr std::array kParams {kAlpha};
constexpr float kSmallest = 1e-5f;
constexpr long kRowsAtOnce = 64; // by one thread

// Of each column of some rows.
Matrix largestOf(const Tensor& tensor, long first, long count)
{
    Matrix row(1, tensor.cols()), largest = Matrix::Zero(1, tensor.cols());
    for (long r = first; r < first + count; ++r) {
        decodeRows(tensor, r, 1, row.data());
        largest = largest.cwiseMax(row.cwiseAbs());
    }
    return largest;
}

// Over the rows of all matrices that read the channels. On all cores.
Matrix largestWeights(const Fold& fold, Progress& progress)
{
    Matrix largest = Matrix::Zero(1, fold.consumers.front().cols());
    for (const Tensor& tensor : fold.consumers) {
        std::vector<Matrix> parts(static_cast<std::size_t>((tensor.rows() + kRowsAtOnce - 1) / kRowsAtOnce));
        parallelFor(static_cast<long>(parts.size()), progress, [&](long part) {
            const long first = part * kRowsAtOnce;
            parts[static_cast<std::size_t>(part)]
                = largestOf(tensor, first, std::min(kRowsAtOnce, tensor.rows() - first));
        });
        for (const Matrix& part : parts)
            largest = largest.cwiseMax(part);
    }
    return ofChannels(fold, largest);
}

FactorsByName factors(const RewriteInput& in, std::vector<FoldReport>& reports, Progress& progress)
{
    const auto alpha = static_cast<float>(setting(in.settings, kAlpha));
    FactorsByName result;
    forEachKnown(in.folds, in.calibration, progress, [&](const Fold& fold, const InputStats& stats) {
        if (fold.producer.shape.size() != 1)
            return;
        const Matrix inputs = largestMagnitudes(fold, stats), weights = largestWeights(fold, progress);
        const Matrix scales = inputs.binaryExpr(weights, [&](float x, float w) {
            return std::max(std::pow(std::max(x, kSmallest), alpha) / std::pow(std::max(w, kSmallest), 1 - alpha),
                            kSmallest);
        });
        apply(fold, scales, result);
        reports.push_back({.producer = fold.producer.name, .scaled = true, .ratio = alpha});
    });
    return result;
}

} // namespace

extern const Rewrite smoothquant;
constinit const Rewrite smoothquant {
    .name = "smoothquant",
    .summary
    = QUERN_TEXT("core", "Moves large inputs into the weights that read them, for runtimes that quantize inputs."),
    .needs = Needs::SumSquares,
    .uses = Needs::SumSquares,
    .params = kParams,
    .factors = factors};

} // namespace quern
