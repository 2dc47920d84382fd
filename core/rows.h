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

// Where the blocks of a row lie.
struct StoredRow {
    const BlockFormat& format;
    std::byte* bytes;
    long block; // columns in a block

    std::byte* at(long column) const { return bytes + (format.values == 0 ? 0 : column / block * format.bytes); }
    // Stores the values of the code that begins at `column`; they become what they are there.
    void place(long column, std::span<float> x) const
    {
        format.place(format, at(column), static_cast<int>(column % block), x);
    }
};

inline StoredRow storedRow(const BlockFormat& format, std::span<std::byte> blocks, long row, long cols)
{
    return {format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(cols),
            format.values == 0 ? cols : format.values};
}

} // namespace quern
