#pragma once

#include "core/progress.h"
#include "core/tensor.h"

#include <cstdint>
#include <functional>

namespace quern {

// A matrix reduced for drawing: the largest magnitude of every 4 x 4, 16 x 16, ... weights, so that a view of any zoom
// touches few numbers and an outlier never disappears. Immutable; about 8 % of a BF16 tensor's bytes.
class Pyramid {
public:
    static Pyramid ofWeights(const Tensor& tensor, Progress& progress);                        // |w|
    static Pyramid ofErrors(const Tensor& original, const Tensor& stored, Progress& progress); // |w - q|
    static Pyramid ofMatrix(const Matrix& values, Progress& progress);                         // |v|, e.g. of scales

    long rows() const { return m_rows; }
    long cols() const { return m_cols; }
    float largest() const { return m_largest; }

    // The window [row, row + height) x [col, col + width) of the matrix, reduced by maximum to outRows x outCols
    // pixels, row-major; pixels outside the matrix are NaN. Zoomed in beyond 1:1 weights are repeated.
    void window(double row, double col, double height, double width, long outRows, long outCols, float* out) const;

private:
    struct Level {
        long rows, cols;
        std::vector<std::uint16_t> maxima; // upper half of the float, rounded up
    };
    std::function<void(long row, long col, long n, float* out)> m_values; // |values| at full resolution
    std::vector<Level> m_levels;
    long m_rows = 0, m_cols = 0;
    float m_largest = 0;
};

} // namespace quern
