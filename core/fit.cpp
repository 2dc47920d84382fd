#include "core/fit.h"

#include "core/trial.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace quern {

Sample::Sample(std::span<const float> values, std::span<const float> importance)
    : count(static_cast<int>(values.size()))
    , uniform(importance.empty())
{
    const float largest = greatest(count, 0.0f, [&](int i) { return std::abs(values[static_cast<std::size_t>(i)]); });
    const float heaviest = greatest(static_cast<int>(importance.size()), 0.0f,
                                    [&](int i) { return importance[static_cast<std::size_t>(i)]; });
    int exponent = 0;
    std::frexp(largest, &exponent);
    constexpr int kSmallest = -60; // what is smaller becomes 0 in any format
    unit = std::ldexp(1.0f, std::max(exponent - 1, kSmallest));

    const bool weighted = heaviest > 0.0f;
    const float perUnit = 1.0f / unit;
    const std::size_t n = values.size();
    if (n > kLargestBlock)
        m_row.resize(3 * n);
    float* const out = n > kLargestBlock ? m_row.data() : m_block.data();
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = values[i] * perUnit;
        out[n + i] = weighted ? importance[i] / heaviest : 1.0f;
        out[2 * n + i] = out[n + i] * out[i];
    }
    x = out;
    w = out + n;
    wx = out + 2 * n;
}

std::span<const float> Sample::part(const Fit& fit, std::size_t first, std::size_t n)
{
    return fit.importance.empty() ? fit.importance : fit.importance.subspan(first, n);
}

} // namespace quern
