#pragma once

#include "core/model.h"

namespace quern {

// H = E[x xᵀ] of one matrix's inputs x, what layer-wise methods minimise errors by: symmetric, of `size` rows. Twice it
// is the Hessian of the squared error of the outputs, hence the name. Immutable and cheap to copy.
struct Hessian {
    long size = 0;
    std::span<const float> lower;         // the lower triangle by rows: H_00, H_10, H_11, H_20, ...
    std::shared_ptr<const Storage> owner; // keeps its bytes alive: memory, or a mapped file

    std::shared_ptr<const Matrix> scale; // 1 x size: H_ij is lower's times scale_i scale_j; null: all 1

    static Hessian of(long size, std::vector<float> lower);
    Hessian rescaled(const Eigen::Ref<const Matrix>& by) const; // of inputs x_i by_i
    Hessian leading(long n) const;                              // of the first n inputs; shares the bytes
    std::vector<float> diagonal() const;                        // E[x_i²]
    static long values(long size) { return size * (size + 1) / 2; }

    float at(long i, long j) const;

    // Throws Error if a value is no finite number, one on the diagonal is negative, or bytes have been lost.
    void check(Progress& progress) const;
    Matrix matrix(Progress& progress) const; // size x size, both triangles; checked
};

// The sum of x xᵀ over vectors that come by. Products are floats over 512 vectors and doubles from there on, so that
// digits are not lost over millions of them. The same whatever the parts they come in and the number of threads.
class ProductSum {
public:
    explicit ProductSum(long size);

    static std::uint64_t bytes(long size); // that it allocates

    void add(const Eigen::Ref<const Matrix>& x, Progress& progress); // x: vectors x size
    // The mean. Gives its memory back. At least one vector has come by.
    Hessian mean(Progress& progress);

private:
    void take(const Eigen::Ref<const Matrix>& x, Progress& progress);
    void addTile(long tile, std::span<double> sums) const;

    long m_size, m_tiles; // m_tiles: along a side
    long m_waiting = 0;   // rows of m_rows that are not yet in the sums
    std::uint64_t m_count = 0;
    Matrix m_rows;              // vectors x size
    Matrix m_columns, m_panels; // of the vectors being added: transposed; in panels for the product
    std::vector<double> m_sums; // tiles of the lower triangle by rows, each row-major
};

} // namespace quern
