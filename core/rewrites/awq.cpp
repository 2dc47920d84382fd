#include "core/error.h"
#include "core/foldinputs.h"
#include "core/multiply.h"
#include "core/rewrite.h"

#include <algorithm>
#include <cmath>

// Activation-aware weight quantization (Lin et al. 2023): channels that carry large inputs are scaled up before
// rounding, by s = x^r with x = mean |x_j|, or x^r / w^(1 - r) with w the mean share of a channel's weights in their
// group's largest, and r of the least loss on a grid. The loss is that of the outputs that read the channels, sum tr(E
// H E^T) with E the error of what the target format makes of W diag(s), divided by s again; where H is not known, its
// diagonal. The target's own search for scales takes the place of the paper's search for where to clip.
namespace quern {
namespace {

constexpr Param kRatios {
    .name = "ratios", .label = QUERN_TEXT("core", "Ratios tried"), .minimum = 2, .maximum = 100, .preset = 20};
constexpr Param kWeights {
    .name = "duo", .label = QUERN_TEXT("core", "Divide by weights (0, 1)"), .minimum = 0, .maximum = 1, .preset = 1};
constexpr Param kRows {
    .name = "rows", .label = QUERN_TEXT("core", "Rows tried"), .minimum = 16, .maximum = 65536, .preset = 256};
constexpr std::array kParams {kRatios, kWeights, kRows};

// The rows of one matrix by which scales are judged.
struct Sample {
    const Target* target;
    Matrix weights;
    double rowsEach;               // of the matrix, for a row here
    std::vector<float> importance; // E[x_j^2]
    PackedMatrix moments;          // H; empty: not known
    std::vector<long> channelOf;
};

Matrix someRows(const Tensor& tensor, long matrix, long most)
{
    const long rows = tensor.rows() / tensor.matrices(), count = std::min(rows, most);
    Matrix x(count, tensor.cols());
    for (long i = 0; i < count; ++i)
        decodeRows(tensor, matrix * rows + i * rows / count, 1, x.row(i).data());
    return x.unaryExpr([](float w) { return std::isfinite(w) ? w : 0.0f; });
}

PackedMatrix packedMoments(const InputStats& stats, long matrix, Progress& progress)
{
    const auto at = static_cast<std::size_t>(matrix);
    if (at >= stats.hessians.size() || !stats.hessians[at])
        return {};
    const Matrix h = stats.hessians[at]->matrix(progress);
    PackedMatrix packed(h.rows(), h.cols());
    parallelFor(packed.panels(), progress, [&](long p) {
        packRows(h.row(p * PackedMatrix::panelRows()).data(), h.cols(), packed.rowsOf(p), h.cols(), packed.panel(p));
    });
    return packed;
}

// The consumers' matrices that read the scales of matrix `matrix` of the fold and are to be quantized.
std::vector<Sample> samplesOf(const Fold& fold, long matrix, const RewriteInput& in, const InputStats& stats,
                              Progress& progress)
{
    std::vector<Sample> samples;
    const long rows = static_cast<long>(setting(in.settings, kRows));
    for (const Tensor& tensor : fold.consumers) {
        const auto target = in.targets.find(tensor.name);
        if (target == in.targets.end() || target->second.format->floating())
            continue;
        const InputStats* own = in.calibration.find(tensor.name);
        const bool each = own && own->sumSquares.rows() == tensor.matrices(); // else what all consumers have in common
        for (long m = fold.matrices > 1 ? matrix : 0; m < (fold.matrices > 1 ? matrix + 1 : tensor.matrices()); ++m) {
            const InputStats& seen = each ? *own : stats;
            const long row = std::min<long>(m, seen.sumSquares.rows() - 1);
            if (seen.counts[static_cast<std::size_t>(row)] == 0)
                continue; // an expert that no token reached
            Matrix weights = someRows(tensor, m, rows);
            const long all = tensor.rows() / tensor.matrices();
            const double share = static_cast<double>(all) / static_cast<double>(weights.rows());
            samples.push_back({&target->second, std::move(weights), share, seen.importance(row),
                               packedMoments(seen, row, progress), fold.channelOf});
        }
    }
    return samples;
}

// Each column's scale.
Matrix spread(const Sample& sample, const Eigen::Ref<const Matrix>& scales)
{
    if (sample.channelOf.empty())
        return scales;
    Matrix columns(1, sample.weights.cols());
    for (long c = 0; c < columns.cols(); ++c)
        columns(0, c) = scales(0, sample.channelOf[static_cast<std::size_t>(c)]);
    return columns;
}

// What rounding to the nearest values of the target's format under these scales costs.
double loss(const Sample& sample, const Eigen::Ref<const Matrix>& scales, Progress& progress)
{
    const BlockFormat& format = *sample.target->format;
    const Matrix columns = spread(sample, scales);
    const Matrix scaled = sample.weights.array().rowwise() * columns.row(0).array();
    std::vector<float> importance = sample.importance;
    for (std::size_t c = 0; c < importance.size(); ++c)
        importance[c] /= columns(0, static_cast<long>(c)) * columns(0, static_cast<long>(c));
    std::vector<std::byte> blocks(static_cast<std::size_t>(scaled.rows()) * format.rowBytes(scaled.cols()));
    static const Settings none;
    const Quantizer& own = *sample.target->quantizer;
    const bool blind = own.curvature; // H of every scale would have to be factored
    const Quantizer& quantizer = blind ? *findQuantizer("nearest") : own;
    quantizer.run({.weights = scaled,
                   .importance = importance,
                   .low = std::min(0.0f, scaled.minCoeff()),
                   .high = std::max(0.0f, scaled.maxCoeff()),
                   .format = format,
                   .settings = blind ? none : sample.target->settings},
                  blocks, progress);
    Matrix errors(scaled.rows(), scaled.cols());
    for (long row = 0; row < errors.rows(); ++row)
        format.decode(format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(scaled.cols()),
                      {errors.row(row).data(), static_cast<std::size_t>(errors.cols())});
    errors = ((scaled - errors).array().rowwise() / columns.row(0).array()).eval();
    Matrix slopes; // E H
    if (sample.moments.rows() > 0)
        multiply(errors, sample.moments, slopes, progress);
    else
        slopes = errors.array().rowwise()
            * Eigen::Map<const Matrix>(sample.importance.data(), 1, errors.cols()).array().row(0);
    double sum = 0;
    for (long row = 0; row < errors.rows(); ++row)
        sum += double {errors.row(row).dot(slopes.row(row))};
    return sum * sample.rowsEach;
}

double loss(const std::vector<Sample>& samples, const Matrix& scales, Progress& progress)
{
    double sum = 0;
    for (const Sample& sample : samples)
        sum += loss(sample, scales, progress);
    return sum;
}

// Mean over the rows of all samples of |w| / the largest of its group.
Matrix meanShares(const Fold& fold, const std::vector<Sample>& samples)
{
    Eigen::RowVectorXd sums = Eigen::RowVectorXd::Zero(fold.consumers.front().cols());
    double rows = 0;
    for (const Sample& sample : samples) {
        const BlockFormat& format = *sample.target->format;
        const long cols = sample.weights.cols();
        const long group = format.scaled > 0 ? format.scaled : format.values > 1 ? format.values : cols;
        for (long row = 0; row < sample.weights.rows(); ++row)
            for (long c = 0; c < cols; c += group) {
                const auto part
                    = sample.weights.row(row).segment(c, std::min(group, cols - c)).cwiseAbs().cast<double>();
                sums.segment(c, part.cols()) += part / (part.maxCoeff() + 1e-6);
            }
        rows += static_cast<double>(sample.weights.rows());
    }
    Fold one = fold; // of one matrix
    one.matrices = 1;
    return ofChannels(one, (sums / std::max(rows, 1.0)).cast<float>());
}

// 1 x channels. shares: empty, or of the weights.
Matrix scalesOf(const Eigen::Ref<const Matrix>& magnitudes, const Matrix& shares, float ratio)
{
    constexpr float kLeast = 1e-4f;
    Matrix scales(1, magnitudes.cols());
    for (long c = 0; c < scales.cols(); ++c) {
        const float x = std::pow(std::max(magnitudes(0, c), 1e-8f), ratio);
        const float s = shares.size() > 0 ? x / (std::pow(shares(0, c), 1 - ratio) + kLeast) : x;
        scales(0, c) = std::isfinite(s) ? std::max(s, kLeast) : 1.0f;
    }
    return scales / std::sqrt(scales.maxCoeff() * scales.minCoeff());
}

FoldReport search(const Fold& fold, long matrix, const RewriteInput& in, const InputStats& stats,
                  Eigen::Ref<Matrix> best, Progress& progress)
{
    const std::vector<Sample> samples = samplesOf(fold, matrix, in, stats, progress);
    const Matrix magnitudes = meanMagnitudes(fold, stats).row(matrix);
    const Matrix shares = setting(in.settings, kWeights) > 0 ? meanShares(fold, samples) : Matrix();
    const int ratios = static_cast<int>(setting(in.settings, kRatios));
    FoldReport report {.producer = fold.producer.name};
    report.before = report.after = samples.empty() ? 0 : loss(samples, best, progress);
    for (int i = 0; !samples.empty() && i < ratios; ++i) {
        progress.check();
        const float ratio = static_cast<float>(i) / static_cast<float>(ratios);
        const Matrix scales = scalesOf(magnitudes, shares, ratio);
        if (const double found = loss(samples, scales, progress); found < report.after) {
            report.after = found;
            report.scaled = true;
            report.ratio = double {ratio};
            best = scales;
        }
    }
    return report;
}

FactorsByName factors(const RewriteInput& in, std::vector<FoldReport>& reports, Progress& progress)
{
    FactorsByName result;
    for (std::size_t i = 0; i < in.folds.size(); ++i) {
        const Fold& fold = in.folds[i];
        progress.report(static_cast<double>(i) / static_cast<double>(in.folds.size()), fold.producer.name);
        const InputStats* stats = inputsOf(fold, in.calibration);
        if (!stats)
            continue;
        Matrix scales = Matrix::Ones(fold.matrices, fold.channels);
        for (long matrix = 0; matrix < fold.matrices; ++matrix)
            reports.push_back(search(fold, matrix, in, *stats, scales.row(matrix), progress));
        if (scales != Matrix::Ones(fold.matrices, fold.channels))
            apply(fold, scales, result);
    }
    return result;
}

} // namespace

extern const Rewrite awq;
constinit const Rewrite awq {
    .name = "awq",
    .summary
    = QUERN_TEXT("core", "Scales channels that carry large inputs up before rounding, and back in what feeds them."),
    .needs = Needs::SumSquares,
    .uses = Needs::SecondMoments,
    .params = kParams,
    .factors = factors};

} // namespace quern
