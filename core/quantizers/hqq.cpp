#include "core/affine.h"
#include "core/parallel.h"
#include "core/quantizer.h"

#include <algorithm>
#include <array>
#include <cmath>

// Half-quadratic quantization (Badri and Shaji 2023). The scale of a group is that of its range. What moves is its
// zero, here as the minimum m = -scale * zero, for
//     sum |x - q(x)|^p,   q(x) = scale * code + m,   p < 1: outliers count little
// by taking turns between the errors that outliers are allowed, e' = shrink(x - q(x)), and m += mean(x - q(x) - e').
// The minimum of least mean |x - q(x)| on the way is kept. Needs no data.
namespace quern {
namespace {

constexpr Param kNorm {.name = "p", .label = QUERN_TEXT("core", "Norm p"), .minimum = 0.1, .maximum = 1, .preset = 0.7};
constexpr Param kBeta {.name = "beta", .label = QUERN_TEXT("core", "Beta"), .minimum = 1, .maximum = 1e6, .preset = 10};
constexpr Param kGrowth {
    .name = "kappa", .label = QUERN_TEXT("core", "Growth of beta"), .minimum = 1, .maximum = 2, .preset = 1.01};
constexpr Param kRounds {
    .name = "rounds", .label = QUERN_TEXT("core", "Rounds"), .minimum = 1, .maximum = 200, .preset = 20};
constexpr std::array kParams {kNorm, kBeta, kGrowth, kRounds};

constexpr int kSide = 16; // groups that are solved side by side
using Side = std::array<float, kSide>;

// sign(e) * max(|e| - |e|^(p - 1) / beta, 0)
struct Shrinkage {
    float power, inverseBeta;
    float threshold; // errors up to here become 0

    Shrinkage(double p, double beta)
        : power(static_cast<float>(p - 1))
        , inverseBeta(static_cast<float>(1 / beta))
        , threshold(static_cast<float>(std::pow(beta, -1 / (2 - p))))
    {
    }
    float operator()(float e) const
    {
        const float size = std::abs(e);
        return size <= threshold ? 0.0f : std::copysign(size - std::pow(size, power) * inverseBeta, e);
    }
};

// Groups of one size as columns.
struct Groups {
    explicit Groups(long size)
        : x(static_cast<std::size_t>(size))
    {
    }
    std::vector<Side> x;
    Side scale {}, inverse {}, minimum {}; // halves, but for `inverse`
    float top = 0;

    float error(std::size_t i, std::size_t group) const
    {
        const float code = roundedWithin((x[i][group] - minimum[group]) * inverse[group], 0.0f, top);
        return x[i][group] - (scale[group] * code + minimum[group]);
    }
};

struct Errors {
    Side sizes {}, sums {}; // sum |e|, sum e - shrink(e)
};

Errors errorsOf(const Groups& groups, const Shrinkage& shrink)
{
    Errors errors;
    Side largest {};
    for (std::size_t i = 0; i < groups.x.size(); ++i)
        for (std::size_t g = 0; g < kSide; ++g) {
            const float e = groups.error(i, g), size = std::abs(e);
            errors.sizes[g] += size;
            errors.sums[g] += e;
            largest[g] = size > largest[g] ? size : largest[g];
        }
    for (std::size_t g = 0; g < kSide; ++g)
        for (std::size_t i = 0; largest[g] > shrink.threshold && i < groups.x.size(); ++i)
            errors.sums[g] -= shrink(groups.error(i, g));
    return errors;
}

// Leaves the best minima in `groups`.
void solve(Groups& groups, const Settings& settings)
{
    const double p = setting(settings, kNorm), growth = setting(settings, kGrowth);
    const int rounds = static_cast<int>(setting(settings, kRounds));
    double beta = setting(settings, kBeta);
    Side least, best = groups.minimum;
    least.fill(HUGE_VALF);
    for (int round = 0; round < rounds; ++round, beta *= growth) {
        const Errors errors = errorsOf(groups, Shrinkage(p, beta));
        bool better = false;
        for (std::size_t g = 0; g < kSide; ++g) {
            if (!(errors.sizes[g] < least[g]))
                continue; // and never again, since the minimum stays
            better = true;
            least[g] = errors.sizes[g];
            best[g] = groups.minimum[g];
            groups.minimum[g] = finiteHalf(best[g] + errors.sums[g] / static_cast<float>(groups.x.size()));
        }
        if (!better)
            break;
    }
    groups.minimum = best;
}

// The format whose minimum moves: `format` itself, or ours of most bits whose values it stores bit for bit; or null.
const BlockFormat* movable(const BlockFormat& format)
{
    const BlockFormat* found = nullptr;
    for (const BlockFormat* own : blockFormats()) {
        const bool moves
            = own->affine.bits > 0 && own->affine.zero == Zero::Minimum && own->affine.scope != Scope::Tensor;
        const bool serves = own == &format || (own->carrier == &format && own->carry && own->values == format.values);
        if (moves && serves && (!found || own->affine.bits > found->affine.bits))
            found = own;
    }
    return found;
}

// Rows by their groups, counted row by row.
struct GroupedRows {
    const Matrix& weights;
    const BlockFormat& format;
    long size = format.values > 0 ? format.values : weights.cols();
    long perRow = weights.cols() / size;

    const float* group(long g) const { return weights.row(g / perRow).data() + g % perRow * size; }
};

void loadGroups(const GroupedRows& rows, long first, long count, Groups& groups)
{
    groups.top = static_cast<float>((1 << rows.format.affine.bits) - 1);
    for (long g = 0; g < count; ++g) {
        const float* x = rows.group(first + g);
        const auto [low, high] = std::minmax_element(x, x + rows.size);
        const AffineGrid grid = affineGrid(rows.format.affine, *low, *high, Precision::Half);
        const auto at = static_cast<std::size_t>(g);
        groups.scale[at] = grid.scale;
        groups.inverse[at] = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
        groups.minimum[at] = grid.minimum;
        for (std::size_t i = 0; i < groups.x.size(); ++i)
            groups.x[i][at] = x[i];
    }
}

void storeGroup(const GroupedRows& rows, const float* x, const AffineGrid& grid, std::byte* block)
{
    writeGrid(rows.format.affine, grid, block);
    for (long i = 0; i < rows.size; ++i) {
        float value = x[i];
        rows.format.place(rows.format, block, static_cast<int>(i), {&value, 1});
    }
}

void runOn(const GroupedRows& rows, const Settings& settings, std::span<std::byte> out, Progress& progress)
{
    const long count = rows.weights.rows() * rows.perRow;
    const std::size_t bytes = rows.format.rowBytes(rows.weights.cols()) / static_cast<std::size_t>(rows.perRow);
    parallelFor((count + kSide - 1) / kSide, progress, [&](long batch) {
        const long first = batch * kSide, n = std::min<long>(kSide, count - first);
        Groups groups(rows.size);
        loadGroups(rows, first, n, groups);
        solve(groups, settings);
        for (long g = 0; g < n; ++g) {
            const auto at = static_cast<std::size_t>(g);
            storeGroup(rows, rows.group(first + g),
                       {groups.scale[at], groups.minimum[at], 0, static_cast<int>(groups.top)},
                       out.data() + static_cast<std::size_t>(first + g) * bytes);
        }
    });
}

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    const BlockFormat& format = *movable(in.format);
    const GroupedRows rows {in.weights, format};
    if (&format == &in.format)
        return runOn(rows, in.settings, out, progress);
    std::vector<std::byte> blocks(static_cast<std::size_t>(in.weights.rows()) * format.rowBytes(in.weights.cols()));
    runOn(rows, in.settings, blocks, progress);
    format.carry(format, blocks.data(), in.weights.size(), out.data());
}

} // namespace

extern const Quantizer hqq;
constinit const Quantizer hqq {
    .name = "hqq",
    .summary = QUERN_TEXT("core",
                          "Moves each group's minimum to where most weights fit best and outliers count little; needs "
                          "no data."),
    .needs = Needs::Nothing,
    .params = kParams,
    .supports = [](const BlockFormat& format) { return movable(format) != nullptr; },
    .run = run};

} // namespace quern
