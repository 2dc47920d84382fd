#include "core/curvature.h"
#include "core/factor.h"
#include "core/foldinputs.h"
#include "core/multiply.h"
#include "core/parallel.h"
#include "core/rewrite.h"
#include "core/rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

// Activation-aware weight quantization (Lin et al. 2023): channels that carry large inputs are scaled up before
// rounding, by s = x^r with x = mean |x_j|, or x^r / w^(1 - r) with w the mean share of a channel's weights in their
// group's largest, and r of the least loss on a grid. The loss is that of the outputs that read the channels, sum tr(E
// H E^T) with E the error of what the target format makes of W diag(s), divided by s again; where H is not known, its
// diagonal. Before GPTQ, whose columns make up for each other's errors, it is sum_j D_j E_j^2, with H's pivots D
// (factor.h). The target's own search for scales takes the place of the paper's search for where to clip.
namespace quern {
namespace {

constexpr Param kRatios {
    .name = "ratios", .label = QUERN_TEXT("core", "Ratios tried"), .minimum = 2, .maximum = 100, .preset = 20};
constexpr const char* kNoYes[] {QUERN_TEXT("core", "no"), QUERN_TEXT("core", "yes")};
constexpr Param kWeights {.name = "duo",
                          .label = QUERN_TEXT("core", "Divide by weights"),
                          .minimum = 0,
                          .maximum = 1,
                          .preset = 1,
                          .choices = kNoYes};
constexpr Param kRows {
    .name = "rows", .label = QUERN_TEXT("core", "Rows tried"), .minimum = 16, .maximum = 65536, .preset = 256};
// Less than this is not worth it: calibrated on one text and run on another, it may as well be a loss.
constexpr Param kGain {.name = "gain",
                       .label = QUERN_TEXT("core", "Least gain, share of the loss"),
                       .minimum = 0,
                       .maximum = 1,
                       .preset = 0.02};
constexpr std::array kParams {kRatios, kWeights, kRows, kGain};
constexpr long kRowsAtOnce = 128; // by one thread
constexpr double kDamping = 0.01; // as GPTQ's by default

// What errors of weights that read certain inputs cost.
struct Costs {
    std::vector<float> each; // of a column's squared error, if that is all that matters; else empty
    PackedMatrix moments;    // H, if they do; else empty
};

// Some rows of one matrix, by which scales are judged.
struct Sample {
    const Target* target;
    Matrix weights;
    double rowsEach;               // of the matrix, for a row here
    std::vector<float> importance; // E[x_j^2]
    std::shared_ptr<const Costs> costs;
    const std::vector<long>* channelOf; // Fold::channelOf
};

Matrix someRows(const Tensor& tensor, long matrix, long most)
{
    const long rows = tensor.rows() / tensor.matrices(), count = std::min(rows, most);
    Matrix x(count, tensor.cols());
    for (long i = 0; i < count; ++i)
        decodeRows(tensor, matrix * rows + i * rows / count, 1, x.row(i).data());
    return x.unaryExpr([](float w) { return std::isfinite(w) ? w : 0.0f; });
}

PackedMatrix packedMoments(const Matrix& h, Progress& progress)
{
    PackedMatrix packed(h.rows(), h.cols());
    parallelFor(packed.panels(), progress, [&](long p) {
        packRows(h.row(p * PackedMatrix::panelRows()).data(), h.cols(), packed.rowsOf(p), h.cols(), packed.panel(p));
    });
    return packed;
}

// Made once for the weights of a fold that share their inputs.
class CostsByInputs {
public:
    std::shared_ptr<const Costs> of(const InputStats& stats, long row, const Target& target, Progress& progress)
    {
        const auto at = static_cast<std::size_t>(row);
        const Hessian* h = at < stats.hessians.size() ? stats.hessians[at].get() : nullptr;
        const bool walks = target.quantizer->curvature && target.quantizer->curvature(target.settings).feedback;
        std::shared_ptr<const Costs>& made
            = m_made[{h ? static_cast<const void*>(h) : &stats, h ? 0 : row, h && walks}];
        if (!made)
            made = std::make_shared<const Costs>(h ? costs(*h, walks, progress) : Costs {stats.importance(row), {}});
        return made;
    }

private:
    static Costs costs(const Hessian& h, bool walks, Progress& progress)
    {
        const Matrix matrix = h.matrix(progress);
        if (walks)
            if (std::optional<Factor> factored = factor(matrix, kDamping, progress))
                return {std::move(factored->pivot), {}};
        return {{}, packedMoments(matrix, progress)};
    }

    std::map<std::tuple<const void*, long, bool>, std::shared_ptr<const Costs>> m_made; // by H, or inputs and row
};

// The consumers' matrices that read the scales of matrix `matrix` of the fold and are to be quantized.
std::vector<Sample> samplesOf(const Fold& fold, long matrix, const RewriteInput& in, const InputStats& stats,
                              Progress& progress)
{
    std::vector<Sample> samples;
    CostsByInputs costs;
    const long rows = static_cast<long>(setting(in.settings, kRows));
    for (const Tensor& tensor : fold.consumers) {
        const auto target = in.targets.find(tensor.name);
        if (target == in.targets.end() || target->second.format->floating())
            continue;
        const InputStats* own = in.calibration.find(tensor.name);
        const bool each = own && own->sumSquares.rows() == tensor.matrices(); // else what all consumers have in common
        const InputStats& seen = each ? *own : stats;
        for (long m = fold.matrices > 1 ? matrix : 0; m < (fold.matrices > 1 ? matrix + 1 : tensor.matrices()); ++m) {
            const long row = std::min<long>(m, seen.sumSquares.rows() - 1);
            if (seen.counts[static_cast<std::size_t>(row)] == 0)
                continue; // an expert that no token reached
            Matrix weights = someRows(tensor, m, rows);
            const long all = tensor.rows() / tensor.matrices();
            const double share = static_cast<double>(all) / static_cast<double>(weights.rows());
            samples.push_back({&target->second, std::move(weights), share, seen.importance(row),
                               costs.of(seen, row, target->second, progress), &fold.channelOf});
        }
    }
    return samples;
}

// Each column's scale.
Matrix spread(const Sample& sample, const Eigen::Ref<const Matrix>& scales)
{
    if (sample.channelOf->empty())
        return scales;
    Matrix columns(1, sample.weights.cols());
    for (long c = 0; c < columns.cols(); ++c)
        columns(0, c) = scales(0, (*sample.channelOf)[static_cast<std::size_t>(c)]);
    return columns;
}

// What the target's format makes of weights, with the grid of its own quantizer if that is not made of H, which would
// have to be factored for every scale.
Matrix quantized(const Target& target, const Matrix& weights, std::span<const float> importance, Progress& progress)
{
    const bool blind = target.quantizer->curvature;
    const Quantizer& quantizer = blind ? *findQuantizer("nearest") : *target.quantizer;
    static const Settings none;
    std::vector<std::byte> blocks(static_cast<std::size_t>(weights.rows()) * target.format->rowBytes(weights.cols()));
    quantizer.run({.weights = weights,
                   .importance = importance,
                   .low = std::min(0.0f, weights.minCoeff()),
                   .high = std::max(0.0f, weights.maxCoeff()),
                   .format = *target.format,
                   .settings = blind ? none : target.settings},
                  blocks, progress);
    Matrix result(weights.rows(), weights.cols());
    decodeEach(*target.format, blocks, weights.rows(), weights.cols(),
               [&](long row, std::span<const float> values) { std::ranges::copy(values, result.row(row).data()); });
    return result;
}

// What some rows of a sample lose under these scales.
double loss(const Sample& sample, long first, long count, const Eigen::Ref<const Matrix>& scales, Progress& progress)
{
    const Matrix columns = spread(sample, scales);
    const Matrix scaled = sample.weights.middleRows(first, count).array().rowwise() * columns.row(0).array();
    std::vector<float> importance = sample.importance;
    for (std::size_t c = 0; c < importance.size(); ++c)
        importance[c] /= columns(0, static_cast<long>(c)) * columns(0, static_cast<long>(c));
    const Matrix errors
        = (scaled - quantized(*sample.target, scaled, importance, progress)).array().rowwise() / columns.row(0).array();
    Matrix slopes; // by which the cost changes
    if (const Costs& costs = *sample.costs; costs.each.empty())
        multiply(errors, costs.moments, slopes, progress);
    else
        slopes
            = errors.array().rowwise() * Eigen::Map<const Matrix>(costs.each.data(), 1, errors.cols()).array().row(0);
    double sum = 0;
    for (long row = 0; row < errors.rows(); ++row)
        sum += double {errors.row(row).dot(slopes.row(row))};
    return sum * sample.rowsEach;
}

// Of every row of scales. On all cores, the same for any number of them.
std::vector<double> losses(const std::vector<Sample>& samples, const Matrix& scales, Progress& progress)
{
    struct Piece {
        const Sample* sample;
        long first, count;
    };
    std::vector<Piece> pieces;
    for (const Sample& sample : samples)
        for (long first = 0; first < sample.weights.rows(); first += kRowsAtOnce)
            pieces.push_back({&sample, first, std::min(kRowsAtOnce, sample.weights.rows() - first)});
    const auto each = static_cast<long>(pieces.size());
    std::vector<double> parts(static_cast<std::size_t>(scales.rows() * each));
    parallelFor(scales.rows() * each, progress, [&](long i) {
        const auto& [sample, first, count] = pieces[static_cast<std::size_t>(i % each)];
        parts[static_cast<std::size_t>(i)] = loss(*sample, first, count, scales.row(i / each), progress);
    });
    std::vector<double> sums;
    for (auto part = parts.begin(); part != parts.end(); part += each)
        sums.push_back(std::accumulate(part, part + each, 0.0));
    return sums;
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

// best: 1 x channels.
FoldReport search(const Fold& fold, long matrix, const RewriteInput& in, const InputStats& stats,
                  Eigen::Ref<Matrix> best, Progress& progress)
{
    FoldReport report {.producer = fold.producer.name};
    const std::vector<Sample> samples = samplesOf(fold, matrix, in, stats, progress);
    if (samples.empty())
        return report;
    const Matrix magnitudes = meanMagnitudes(fold, stats).row(matrix);
    const Matrix shares = setting(in.settings, kWeights) > 0 ? meanShares(fold, samples) : Matrix();
    const auto ratios = static_cast<long>(setting(in.settings, kRatios));
    const auto ratio = [&](long i) { return static_cast<float>(i) / static_cast<float>(ratios); };
    Matrix scales(1 + ratios, fold.channels);
    scales.row(0).setOnes();
    for (long i = 0; i < ratios; ++i)
        scales.row(1 + i) = scalesOf(magnitudes, shares, ratio(i));
    const std::vector<double> found = losses(samples, scales, progress);
    report.before = report.after = found.front();
    const double wanted = (1 - setting(in.settings, kGain)) * report.before;
    for (long i = 0; i < ratios; ++i)
        if (const double after = found[static_cast<std::size_t>(1 + i)]; after < report.after && after <= wanted) {
            report.after = after;
            report.scaled = true;
            report.ratio = double {ratio(i)};
            best = scales.row(1 + i);
        }
    return report;
}

FactorsByName factors(const RewriteInput& in, std::vector<FoldReport>& reports, Progress& progress)
{
    FactorsByName result;
    forEachKnown(in.folds, in.calibration, progress, [&](const Fold& fold, const InputStats& stats) {
        Matrix scales = Matrix::Ones(fold.matrices, fold.channels);
        for (long matrix = 0; matrix < fold.matrices; ++matrix)
            reports.push_back(search(fold, matrix, in, stats, scales.row(matrix), progress));
        if (scales != Matrix::Ones(fold.matrices, fold.channels))
            apply(fold, scales, result);
    });
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
