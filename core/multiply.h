#pragma once

#include "core/parallel.h"
#include "core/tensor.h"

#include <functional>

// Products x W^T, tokens x out features, of rows of x (tokens x in features) with rows of W (out x in features).
// An element's sum is formed in one order, whatever stands beside it and whatever the number of threads.
namespace quern {

// W laid out for the product: panels of so many rows, each with its columns outermost, filled up with zeros.
class PackedMatrix {
public:
    PackedMatrix() = default;
    PackedMatrix(long rows, long cols);

    static long panelRows(); // depends on the processor the program was built for
    static std::uint64_t bytes(long rows, long cols);
    long rows() const { return m_rows; }
    long cols() const { return m_cols; }
    long panels() const { return m_cols == 0 ? 0 : m_values.rows() / m_cols; }
    long rowsOf(long panel) const { return std::min(panelRows(), m_rows - panel * panelRows()); }
    float* panel(long i) { return m_values.row(i * m_cols).data(); }
    const float* panel(long i) const { return m_values.row(i * m_cols).data(); }

private:
    long m_rows = 0, m_cols = 0;
    Matrix m_values; // (panels * cols) x panelRows
};

// Fills a panel from `rows` rows, of which row i begins at w + i * stride.
void packRows(const float* w, long stride, long rows, long cols, float* panel);
// The same where W is stored transposed: column k of W begins at w + k * stride.
void packColumns(const float* w, long stride, long rows, long cols, float* panel);

// Where a product reads and writes: row i of x begins at x + i * xStride.
struct Product {
    const float* x;
    long xStride, tokens;
    float* y;
    long yStride;
};

// y of `rows` out features, starting at product.y, from columns [first, last) of a panel and of x.
void multiplyPanel(const Product& product, const float* panel, long rows, long first, long last);

// So much of a column.
struct Term {
    long column;
    float factor;
};
// y of `rows` out features += the terms' columns of a panel.
void addColumns(std::span<const Term> terms, const float* panel, long rows, float* y);

// y = x w^T, on all cores.
void multiply(const Eigen::Ref<const Matrix>& x, const PackedMatrix& w, Matrix& y, Progress& progress);
// The same of one matrix of a tensor, decoded on the way.
void multiply(const Eigen::Ref<const Matrix>& x, const Tensor& w, long matrix, Matrix& y, Progress& progress);

PackedMatrix packed(const Tensor& tensor, Progress& progress); // decodes it, on all cores

// What all threads together allocate at most, in bytes, besides x, w and y: packed, for so many columns; multiply,
// where w is decoded on the way or not.
std::uint64_t packingBytes(long cols);
std::uint64_t multiplyingBytes(long tokens, long cols, bool decodes);

} // namespace quern
