#include "core/feedback.h"
#include "core/rows.h"
#include "core/solving.h"

#include <algorithm>
#include <cassert>

// Coordinate descent on the points of grids that stay (QuantEase, Behdin et al. 2023; CDQuant, Nair and Suggala 2024),
// from the nearest points, or from the better of those and GPTQ's in each row. No row costs more, in tr(E H Eᵀ), than
// the nearest points do.
namespace quern {
namespace {

constexpr Param kPasses {"passes", QUERN_TEXT("core", "Passes"), 1, 32, 4};
constexpr Param kDescentParams[] {kPasses};
constexpr Param kBothParams[] {kDamping, kOrdering, kPasses};

CurvatureNeeds needs(const Settings&)
{
    return {.moments = true};
}

CurvatureNeeds needsOfBoth(const Settings& settings)
{
    return feedbackNeeds(settings, true);
}

using Blocks = std::vector<std::byte>;

// Rows of some weights in a format, and what they cost.
class Rows {
public:
    Rows(const QuantizerInput& in, const Matrix& weights)
        : m_in(in)
        , m_weights(weights)
        , m_rowBytes(in.format.rowBytes(weights.cols()))
    {
    }

    Blocks nearest() const
    {
        Blocks blocks(static_cast<std::size_t>(m_weights.rows()) * m_rowBytes);
        encodeRows(m_in.format, m_weights, m_in.fit(m_in.curvature->diagonal), blocks);
        return blocks;
    }

    std::vector<double> costsOf(std::span<const std::byte> blocks) const
    {
        return costs(m_weights, *m_in.curvature, m_in.format, blocks);
    }

    // Takes those rows of `others` that cost less.
    void takeBetter(std::span<std::byte> blocks, const Blocks& others, const std::vector<double>& ofOthers) const
    {
        const std::vector<double> own = costsOf(blocks);
        for (std::size_t row = 0; row < own.size(); ++row)
            if (ofOthers[row] < own[row])
                std::copy_n(others.data() + row * m_rowBytes, m_rowBytes, blocks.data() + row * m_rowBytes);
    }

private:
    const QuantizerInput& m_in;
    const Matrix& m_weights;
    std::size_t m_rowBytes;
};

void run(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    assert(in.curvature);
    const int passes = static_cast<int>(setting(in.settings, kPasses));
    solvePieces(in, out, progress, [&](const Matrix& weights, std::span<std::byte> blocks) {
        const Rows rows(in, weights);
        const Blocks start = rows.nearest();
        const std::vector<double> least = rows.costsOf(start);
        std::ranges::copy(start, blocks.begin());
        descend(weights, *in.curvature, in.format, passes, blocks);
        rows.takeBetter(blocks, start, least); // what rounding of sums may have done
    });
}

void runBoth(const QuantizerInput& in, std::span<std::byte> out, Progress& progress)
{
    assert(in.curvature);
    const int passes = static_cast<int>(setting(in.settings, kPasses));
    const Fit fit = in.fit({});
    solvePieces(in, out, progress, [&](const Matrix& weights, std::span<std::byte> blocks) {
        const Rows rows(in, weights);
        const Blocks start = rows.nearest();
        const std::vector<double> least = rows.costsOf(start);
        encodeWithFeedback(weights, *in.curvature, in.format, fit, blocks);
        rows.takeBetter(blocks, start, least);
        descend(weights, *in.curvature, in.format, passes, blocks);
        rows.takeBetter(blocks, start, least);
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
