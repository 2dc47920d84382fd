#pragma once

#include "core/calibration.h"

#include <optional>

namespace quern {

// How many parts of a matrix are counted apart from each other, by different threads.
constexpr long kCountedParts = 16;

// Adds up the inputs of one tensor, part by part. The same whatever the parts, as long as they come in the order of
// tokens, and whatever the number of threads.
class InputSums {
public:
    // name: of the tensor, for messages; matrices: experts, or 1.
    InputSums(std::string name, long matrices, long cols, bool hessians);

    static std::uint64_t bytes(long matrices, long cols,
                               bool hessians);                  // that it allocates at most, without the result
    static std::uint64_t resultBytes(long matrices, long cols); // of the result, without H

    // x: tokens x cols, of one expert. Throws Error if a value is no finite number.
    void add(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress);
    // The same for tokens whose inputs to the original model are known: all of them, or none. original: tokens x cols.
    void add(long matrix, const Eigen::Ref<const Matrix>& x, const Matrix& original, Progress& progress);
    double count() const; // of all experts together

    // All but the outputs, rounded to what a file holds. Gives the memory of the sums back.
    InputStats finished(Progress& progress);

private:
    void addValues(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress);
    void addProducts(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress);
    void addStrip(long part, long matrix, const Eigen::Ref<const Matrix>& x);

    std::string m_name;
    Matrix m_largest; // matrices x cols
    Eigen::Matrix<double, -1, -1, Eigen::RowMajor> m_squares, m_magnitudes;
    std::vector<double> m_counts;
    std::vector<LogHistogram> m_histograms; // of every strip of columns
    bool m_wantsHessians;
    std::vector<std::optional<ProductSum>>
        m_products; // of every expert; empty until it gets something; of x or of (x, d)
};

// Counts the outputs of one tensor.
class OutputCounts {
public:
    explicit OutputCounts(std::string name);
    static std::uint64_t bytes();
    void add(const Eigen::Ref<const Matrix>& y, Progress& progress); // throws Error if a value is no finite number
    LogHistogram finished() const;

private:
    std::string m_name;
    std::vector<LogHistogram> m_histograms;
};

} // namespace quern
