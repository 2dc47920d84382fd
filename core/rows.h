#pragma once

#include "core/blockformat.h"
#include "core/tensor.h"

namespace quern {

// Rows of a matrix and the blocks they are stored in: format.rowBytes(cols) bytes a row, one row behind the other.

// fit.importance: of the row's columns, or empty.
inline void encodeRow(const BlockFormat& format, const Matrix& weights, long row, const Fit& fit,
                      std::span<std::byte> blocks)
{
    const long cols = weights.cols();
    format.encode(format, {weights.row(row).data(), static_cast<std::size_t>(cols)}, fit,
                  blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(cols));
}

inline void encodeRows(const BlockFormat& format, const Matrix& weights, const Fit& fit, std::span<std::byte> blocks)
{
    for (long row = 0; row < weights.rows(); ++row)
        encodeRow(format, weights, row, fit, blocks);
}

// Gives every row to use(row, its values).
template <typename Use>
void decodeEach(const BlockFormat& format, std::span<const std::byte> blocks, long rows, long cols, Use use)
{
    std::vector<float> values(static_cast<std::size_t>(cols));
    for (long row = 0; row < rows; ++row) {
        format.decode(format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(cols), values);
        use(row, std::span<const float>(values));
    }
}

} // namespace quern
