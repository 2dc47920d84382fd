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

// Slopes are those where it comes from.
bool Metric::lowers(const Code& from, const Values& to) const
{
    Values step {};
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        step[i] = to[i] - from.values[i];
    float change = cost(step);
    for (std::size_t i = 0; i < static_cast<std::size_t>(m_size); ++i)
        change -= 2 * step[i] * from.slopes[i];
    return change < 0;
}

std::vector<Metric::Values> Metric::placed(const BlockFormat& format, int first, std::span<Code> codes,
                                           const Values& importance) const
{
    const auto size = static_cast<std::size_t>(m_size);
    std::vector<std::byte*> blocks;
    std::vector<float> x;
    for (const Code& code : codes)
        if (code.open) {
            blocks.push_back(code.block);
            for (std::size_t i = 0; i < size; ++i)
                x.push_back(code.values[i] + code.slopes[i] / importance[i]);
        }
    format.placeWeighted(format, blocks, first, x, {importance.data(), size});
    std::vector<Values> result(blocks.size());
    for (std::size_t i = 0; i < result.size(); ++i)
        std::copy_n(x.data() + i * size, size, result[i].begin());
    return result;
}

void Metric::place(const BlockFormat& format, int first, std::span<Code> codes) const
{
    constexpr int kRounds = 4;
    std::vector<Values> wanted;
    for (Code& code : codes) {
        wanted.push_back(code.values);
        code.slopes = {};
        code.open = true;
    }
    const std::vector<Values> nearest = placed(format, first, codes, m_diagonal);
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i].values = nearest[i];
    for (int round = 0; round < kRounds; ++round) {
        for (std::size_t i = 0; i < codes.size(); ++i) {
            Values left {};
            for (std::size_t k = 0; k < static_cast<std::size_t>(m_size); ++k)
                left[k] = wanted[i][k] - codes[i].values[k];
            codes[i].slopes = times(left);
        }
        take(format, first, codes, m_sums, Open::Moved);
    }
}

void Metric::take(const BlockFormat& format, int first, std::span<Code> codes, const Values& importance,
                  Open open) const
{
    const auto bytes = static_cast<std::size_t>(format.bytes);
    std::vector<std::byte> kept;
    for (const Code& code : codes)
        if (code.open)
            kept.insert(kept.end(), code.block, code.block + bytes);
    const std::vector<Values> next = placed(format, first, codes, importance);
    std::size_t at = 0;
    for (Code& code : codes) {
        if (!code.open)
            continue;
        const bool same = next[at] == code.values, better = !same && lowers(code, next[at]);
        if (better)
            code.values = next[at];
        else
            std::copy_n(kept.data() + at * bytes, bytes, code.block);
        code.open = open == Open::Moved ? better : !same && !better;
        ++at;
    }
}

void Metric::improve(const BlockFormat& format, int first, std::span<Code> codes) const
{
    for (Code& code : codes)
        code.open = true;
    take(format, first, codes, m_diagonal, Open::Refused);
    take(format, first, codes, m_sums, Open::Refused);
}

} // namespace quern
