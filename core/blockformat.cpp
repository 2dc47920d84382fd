#include "core/blockformat.h"

#include <algorithm>
#include <cmath>

namespace quern {

extern const BlockFormat f16;

bool BlockFormat::inGguf() const
{
    return id < kOwnFormats;
}

bool BlockFormat::floating() const
{
    return values == 1 && (name.starts_with("F") || name == "BF16");
}

std::size_t BlockFormat::rowBytes(long cols) const
{
    if (values == 0)
        return static_cast<std::size_t>(bytes) + static_cast<std::size_t>((cols * affine.bits + 7) / 8);
    return static_cast<std::size_t>(cols / values) * static_cast<std::size_t>(bytes);
}

std::uint64_t BlockFormat::methodBytes(long rows, long cols) const
{
    const std::uint64_t all = static_cast<std::uint64_t>(rows) * rowBytes(cols);
    if (affine.bits > 0 && affine.scope == Scope::Tensor)
        return all - static_cast<std::uint64_t>(std::max(rows - 1, 0L)) * static_cast<std::uint64_t>(bytes);
    return all;
}

const BlockFormat* findAffineFormat(const Affine& affine, int group)
{
    for (const BlockFormat* format : blockFormats())
        if (format->affine.bits == affine.bits && format->affine.zero == affine.zero
            && format->affine.scope == affine.scope && format->values == group)
            return format;
    return nullptr;
}

const BlockFormat& storedAs(const BlockFormat& format, long cols)
{
    if (!format.carrier)
        return format;
    return format.carrier->fits(cols) ? *format.carrier : f16;
}

std::vector<float> levels(const BlockFormat& format, std::span<const std::byte> block, int first)
{
    if (format.group != 1 || !format.place || format.floating())
        return {};
    std::vector<std::byte> copy(block.begin(), block.end());
    const auto placed = [&](float x) {
        format.place(format, copy.data(), first, {&x, 1});
        return x;
    };
    const float lowest = placed(-HUGE_VALF), highest = placed(HUGE_VALF);
    constexpr int kSteps = 4096; // at least eight for each of 256 evenly spaced levels
    std::vector<float> found;
    for (int i = 0; i <= kSteps; ++i) {
        const float t = static_cast<float>(i) / kSteps;
        const float level = placed(lowest + t * (highest - lowest));
        if (found.empty() || level > found.back())
            found.push_back(level);
    }
    return found;
}

} // namespace quern
