#include "core/feedback.h"
#include "core/rows.h"
#include "core/solution.h"
#include "core/solving.h"

#include <algorithm>
#include <cassert>

// Coordinate descent on the points of grids (QuantEase, Behdin et al. 2023; CDQuant, Nair and Suggala 2024), from the
// nearest points, or from the better of those and GPTQ's in each row; then in turns on the grids, codes staying, and on
// the points again. No row costs more, in tr(E H Eᵀ), than the nearest points do.
namespace quern {
namespace {

constexpr Param kPasses {"passes", QUERN_TEXT("core", "Passes"), 1, 32, 4};
constexpr Param kRefits {"refits", QUERN_TEXT("core", "Refits of scales"), 0, 8, 2};
constexpr Param kDescentParams[] {kPasses, kRefits};
constexpr Param kBothParams[] {kDamping, kOrdering, kPasses, kRefits};

CurvatureNeeds needs(const Settings&)
{
    return {.moments = true};
}

CurvatureNeeds needsOfBoth(const Settings& settings)
{
    return feedbackNeeds(settings, true);
}

// A piece of the matrix in blocks that encode() chooses.
template <typename Encode>
Solution solution(const QuantizerInput& in, const Matrix& weights, const Encode& encode)
{
    std::vector<std::byte> blocks(static_cast<std::size_t>(weights.rows()) * in.format.rowBytes(weights.cols()));
    encode(std::span(blocks));
    return {weights, *in.curvature, in.format, std::move(blocks)};
}

Solution rounded(const QuantizerInput& in, const Matrix& weights)
{
    return solution(in, weights, [&](std::span<std::byte> blocks) {
        encodeRows(in.format, weights, in.fit(in.curvature->diagonal), blocks);
    });
}

// From `best`, which costs no more than `start` in any row.
void descend(const QuantizerInput& in, const Solution& start, Solution& best, std::span<std::byte> out)
{
    const int passes = static_cast<int>(setting(in.settings, kPasses));
    best.descend(passes);
    // Whether or not any row has changed: what becomes of one must not depend on those beside it.
    for (int left = static_cast<int>(setting(in.settings, kRefits)); left > 0; --left) {
        best.refit();
        best.descend(passes);
    }
    best.takeBetter(start); // what rounding of sums may have done
    std::ranges::copy(best.blocks(), out.begin());
}

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    assert(in.curvature);
    solvePieces(in, out, progress, [&](const Matrix& weights, std::span<std::byte> blocks) {
        const Solution start = rounded(in, weights);
        Solution best = start;
        descend(in, start, best, blocks);
    });
}

void runBoth(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    assert(in.curvature);
    solvePieces(in, out, progress, [&](const Matrix& weights, std::span<std::byte> blocks) {
        const Solution start = rounded(in, weights);
        Solution best = solution(in, weights, [&](std::span<std::byte> fed) {
            encodeWithFeedback(weights, *in.curvature, in.format, in.fit({}), fed);
        });
        best.takeBetter(start);
        descend(in, start, best, blocks);
    });
}

} // namespace

extern const Quantizer descent;
constinit const Quantizer descent {
    .name = "descent",
    .summary = QUERN_TEXT("core",
                          "Rounds to the nearest values, then moves one weight after the other to where the output's "
                          "error is least."),
    .needs = Needs::SecondMoments,
    .params = kDescentParams,
    .supports = [](const BlockFormat& format) { return canSolve(format); },
    .run = run,
    .curvature = needs};

extern const Quantizer gptqDescent;
constinit const Quantizer gptqDescent {
    .name = "gptq+descent",
    .summary = QUERN_TEXT("core",
                          "Takes GPTQ's values or the nearest ones, whichever are better in a row, and moves weights "
                          "from there as descent does."),
    .needs = Needs::SecondMoments,
    .params = kBothParams,
    .supports = [](const BlockFormat& format) { return canSolve(format); },
    .run = runBoth,
    .curvature = needsOfBoth};

} // namespace quern
