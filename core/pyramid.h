#pragma once

#include "core/progress.h"
#include "core/tensor.h"

#include <cstdint>
#include <functional>

namespace quern {

// A matrix reduced for drawing: the largest magnitude of every 4 x 4 (or 2 x 2), 8 x 8, 16 x 16, ... weights, so that a
// view of any zoom touches few numbers and an outlier never disappears. Immutable; about 8 % of a BF16 tensor's bytes,
// 30 % where single weights are dear to decode. Weights that are infinite or no numbers show as infinity.
// Keeps views of the tensors it was made of, whose bytes the caller keeps alive.
class Pyramid {
public:
    static Pyramid ofWeights(const Tensor& tensor, Progress& progress);                        // |w|
    static Pyramid ofErrors(const Tensor& original, const Tensor& stored, Progress& progress); // |w - q|
    static Pyramid ofMatrix(const Matrix& values, Progress& progress);                         // |v|, e.g. of scales

    long rows() const { return m_rows; }
    long cols() const { return m_cols; }
    float largest() const { return m_largest; } // of the finite ones

    // The window [row, row + height) x [col, col + width) of the matrix, reduced by maximum to outRows x outCols
    // pixels, row-major; pixels outside the matrix are NaN. Zoomed in beyond 1:1 weights are repeated. From the first
    // level on values are rounded up to 8 significant bits, and a pixel may reach into its neighbours by less than one
    // of its widths.
    struct Window {
        double row, col, height, width;
    };
    void window(const Window& window, long outRows, long outCols, float* out) const;

private:
    struct Level {
        long scale; // weights along each side of a cell
        long rows, cols;
        std::vector<std::uint16_t> maxima; // upper half of the float, rounded up
    };
    using Values = std::function<void(long row, long col, long n, float* out)>; // |values| at full resolution

    Pyramid(long rows, long cols, long finest, Values values, Progress& progress);
    void buildFinest(long scale, Progress& progress);
    void buildNext();
    const Level* levelFor(double pixel) const; // null: full resolution
    void reduceRow(const Level* level, long first, long last, std::span<const std::pair<long, long>> spans,
                   float* out) const;

    Values m_values;
    std::vector<Level> m_levels; // finest first
    long m_rows = 0, m_cols = 0;
    float m_largest = 0;
};

} // namespace quern
