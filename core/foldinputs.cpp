#include "core/foldinputs.h"

#include "core/error.h"

#include <algorithm>

namespace quern {
namespace {

[[noreturn]] void failForMagnitudes(const Fold& fold)
{
    fail(QUERN_TEXT("core",
                    "The calibration does not know how large the inputs of %1 are, only their squares, as importance "
                    "matrices of other programs do. Calibrate the model here."),
         fold.consumers.front().name);
}

} // namespace

const InputStats* inputsOf(const Fold& fold, const Calibration& calibration)
{
    for (const Tensor& consumer : fold.consumers)
        if (const InputStats* stats = calibration.find(consumer.name); stats
            && stats->sumSquares.cols() == consumer.cols()
            && stats->sumSquares.rows() == (fold.matrices > 1 ? consumer.matrices() : 1))
            return stats;
    return nullptr;
}

void forEachKnown(std::span<const Fold> folds, const Calibration& calibration, Progress& progress,
                  const std::function<void(const Fold&, const InputStats&)>& body)
{
    for (std::size_t i = 0; i < folds.size(); ++i) {
        progress.report(static_cast<double>(i) / static_cast<double>(folds.size()), folds[i].producer.name);
        if (const InputStats* stats = inputsOf(folds[i], calibration))
            body(folds[i], *stats);
    }
}

Matrix ofChannels(const Fold& fold, const Eigen::Ref<const Matrix>& columns)
{
    Matrix result = Matrix::Zero(fold.matrices, fold.channels);
    for (long row = 0; row < columns.rows(); ++row)
        for (long c = 0; c < columns.cols(); ++c) {
            float& channel = result(fold.matrices > 1 ? row : 0,
                                    fold.channelOf.empty() ? c : fold.channelOf[static_cast<std::size_t>(c)]);
            channel = std::max(channel, columns(row, c));
        }
    return result;
}

Matrix meanMagnitudes(const Fold& fold, const InputStats& stats)
{
    if (stats.sumMagnitudes.size() == 0)
        failForMagnitudes(fold);
    Matrix means = stats.sumMagnitudes.cast<float>();
    for (long row = 0; row < means.rows(); ++row)
        means.row(row) /= static_cast<float>(std::max(1.0, stats.counts[static_cast<std::size_t>(row)]));
    return ofChannels(fold, means);
}

Matrix largestMagnitudes(const Fold& fold, const InputStats& stats)
{
    if (stats.maxMagnitudes.size() == 0)
        failForMagnitudes(fold);
    return ofChannels(fold, stats.maxMagnitudes);
}

} // namespace quern
