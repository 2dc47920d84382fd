#pragma once

#include "core/feedback.h"
#include "core/rows.h"
#include "core/solution.h"
#include "tests/core/moments.h"

#include <QTest>

// Runs of the solvers on a few rows.
Q_DECLARE_METATYPE(const quern::BlockFormat*)
Q_DECLARE_METATYPE(quern::Ordering)

namespace solverrun {

using namespace quern;

inline constexpr long kRows = 6;
using Bytes = std::vector<std::byte>;

inline Curvature curvature(const Matrix& h, const BlockFormat& format, Ordering ordering = Ordering::Natural,
                           double damping = 0.01)
{
    NoProgress progress;
    return curvatureOf(moments::hessian(h), format,
                       {.moments = true, .feedback = true, .damping = damping, .ordering = ordering}, progress);
}

inline Fit rangeOf(const Matrix& weights)
{
    return {.importance = {}, .low = std::min(weights.minCoeff(), 0.0F), .high = std::max(weights.maxCoeff(), 0.0F)};
}

inline Bytes room(const Matrix& weights, const BlockFormat& format)
{
    return Bytes(static_cast<std::size_t>(weights.rows()) * format.rowBytes(weights.cols()));
}

inline Bytes withFeedback(const Matrix& weights, const Curvature& curvature, const BlockFormat& format)
{
    Bytes blocks = room(weights, format);
    encodeWithFeedback(weights, curvature, format, rangeOf(weights), blocks);
    return blocks;
}

inline Bytes nearest(const Matrix& weights, const Matrix& h, const BlockFormat& format, Effort effort = Effort::Best)
{
    const Eigen::VectorXf diagonal = h.diagonal();
    Fit fit = rangeOf(weights);
    fit.effort = effort;
    fit.importance = {diagonal.data(), static_cast<std::size_t>(diagonal.size())};
    Bytes blocks = room(weights, format);
    encodeRows(format, weights, fit, blocks);
    return blocks;
}

inline Bytes descended(Bytes blocks, const Matrix& weights, const Curvature& curvature, const BlockFormat& format,
                       int passes)
{
    Solution solution(weights, curvature, format, std::move(blocks));
    solution.descend(passes);
    return solution.blocks();
}

inline double cost(const Bytes& blocks, const Matrix& weights, const Matrix& h, const BlockFormat& format)
{
    return moments::costs(weights - moments::decoded(format, blocks, weights.rows(), weights.cols()), h).sum();
}

inline void addFormats(std::initializer_list<const char*> names)
{
    QTest::addColumn<const BlockFormat*>("format");
    for (const char* name : names)
        QTest::newRow(name) << findBlockFormat(name);
}

} // namespace solverrun
