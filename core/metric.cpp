#include "core/metric.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace quern {

Metric::Metric(const float* b, long stride, long size)
    : m_b(b)
    , m_stride(stride)
    , m_size(size)
{
    assert(size <= static_cast<long>(kLargest));
    for (long i = 0; i < size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        m_diagonal[at] = b[i * stride + i];
        for (long j = 0; j < size; ++j)
            m_sums[at] += std::abs(b[i * stride + j]);
    }
    // Inputs that were always 0 may not stay so: their weights count a little.
    float least = HUGE_VALF;
    for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i)
        least = m_diagonal[i] > 0 ? std::min(least, m_diagonal[i]) : least;
    for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i)
        if (!(m_diagonal[i] > 0))
            m_diagonal[i] = m_sums[i] = least < HUGE_VALF ? least : 1;
}

Metric::Values Metric::times(const Values& x) const
{
    Values product {};
    for (long i = 0; i < m_size; ++i)
        for (long j = 0; j < m_size; ++j)
            product[static_cast<std::size_t>(i)] += m_b[i * m_stride + j] * x[static_cast<std::size_t>(j)];
    return product;
}

float Metric::cost(const Values& errors) const
{
    const Values product = times(errors);
    float sum = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        sum += product[i] * errors[i];
    return sum;
}

Metric::Values Metric::difference(const Values& a, const Values& b) const
{
    Values result {};
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        result[i] = a[i] - b[i];
    return result;
}

Metric::Values Metric::placed(const StoredRow& to, long column, const Values& now, const Values& slopes,
                              const Values& importance) const
{
    Values x = now;
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        x[i] += slopes[i] / importance[i];
    to.placeWeighted(column, part(x), {importance.data(), static_cast<std::size_t>(m_size)});
    return x;
}

void Metric::place(const StoredRow& to, long column, Values& x) const
{
    constexpr int kRounds = 4;
    Values best = placed(to, column, x, {}, m_diagonal);
    for (int round = 0; round < kRounds; ++round) {
        const Values slopes = times(difference(x, best));
        if (!take(to, column, best, slopes, m_sums))
            break;
    }
    x = best;
}

bool Metric::take(const StoredRow& to, long column, Values& now, const Values& slopes, const Values& importance) const
{
    const Values next = placed(to, column, now, slopes, importance), step = difference(next, now);
    float change = cost(step);
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        change -= 2 * step[i] * slopes[i];
    if (change < 0) {
        now = next;
        return true;
    }
    to.place(column, part(now));
    return false;
}

bool Metric::improve(const StoredRow& to, long column, Values& now, const Values& slopes) const
{
    return take(to, column, now, slopes, m_diagonal) || take(to, column, now, slopes, m_sums);
}

} // namespace quern
