#include "core/levels.h"

#include <algorithm>
#include <cmath>

namespace quern {

Place placeOf(const BlockFormat& format, std::span<const std::byte> row, long col)
{
    if (format.values == 0)
        return {row, static_cast<int>(col)};
    const auto bytes = static_cast<std::size_t>(format.bytes);
    return {row.subspan(static_cast<std::size_t>(col / format.values) * bytes, bytes),
            static_cast<int>(col % format.values)};
}

long groupSize(const BlockFormat& format, long cols)
{
    return format.scaled > 0 ? format.scaled : format.values > 0 ? format.values : cols;
}

LevelSteps::LevelSteps(const BlockFormat& format, long cols)
    : m_format(format)
    , m_cols(cols)
    , m_group(groupSize(format, cols))
    , m_rowBytes(format.rowBytes(cols))
{
}

void LevelSteps::ofRow(std::span<const std::byte> blocks, long row, float* out)
{
    const auto bytes = blocks.subspan(static_cast<std::size_t>(row) * m_rowBytes, m_rowBytes);
    for (long g = 0; g < groups(); ++g) {
        const Place place = placeOf(m_format, bytes, g * m_group);
        m_block.assign(place.block.begin(), place.block.end());
        const float range = extreme(place.first, HUGE_VALF) - extreme(place.first, -HUGE_VALF);
        if (m_levels < 2 && range > 0)
            learn(place.block, place.first);
        out[g] = range > 0 && m_levels > 1 ? range / static_cast<float>(m_levels - 1) : 0.0F;
    }
}

void LevelSteps::learn(std::span<const std::byte> block, int first)
{
    const std::vector<float> all = levels(m_format, block, first);
    m_levels = all.size();
    if (m_levels < 2)
        return;
    float least = HUGE_VALF;
    for (std::size_t i = 1; i < all.size(); ++i)
        least = std::min(least, all[i] - all[i - 1]);
    m_smallest = least * static_cast<float>(m_levels - 1) / (all.back() - all.front());
}

float LevelSteps::extreme(int first, float x)
{
    m_format.place(m_format, m_block.data(), first, {&x, 1});
    return x;
}

} // namespace quern
