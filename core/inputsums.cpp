#include "core/inputsums.h"

#include "core/error.h"
#include "core/logcounter.h"
#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <numeric>

namespace quern {
namespace {

constexpr long kNarrowest = 64; // columns of a strip
constexpr long kTokens = 8;     // added at once

std::vector<LogHistogram> emptyHistograms()
{
    LogHistogram empty;
    empty.counts.resize(LogHistogram::kBins);
    return std::vector<LogHistogram>(kCountedParts, empty);
}

LogHistogram sum(const std::vector<LogHistogram>& parts)
{
    LogHistogram all;
    for (const LogHistogram& part : parts)
        all.merge(part);
    return all;
}

// What one strip of columns has had so far.
struct Strip {
    double* squares;
    double* magnitudes;
    float* largest;
    long n; // columns
};

// Adds tokens x n values, token by token, whose rows begin `stride` apart. The number of tokens is a constant so that
// sums stay in registers from one to the next.
template <long kCount>
void addTokens(const Strip& strip, const float* __restrict x, long stride)
{
    double* __restrict squares = strip.squares;
    double* __restrict magnitudes = strip.magnitudes;
    float* __restrict largest = strip.largest;
    for (long i = 0; i < strip.n; ++i) {
        double square = squares[i], sum = magnitudes[i];
        float most = largest[i];
        for (long t = 0; t < kCount; ++t) {
            const float magnitude = std::abs(x[t * stride + i]);
            const double wide = magnitude;
            square += wide * wide;
            sum += wide;
            most = most < magnitude ? magnitude : most;
        }
        squares[i] = square;
        magnitudes[i] = sum;
        largest[i] = most;
    }
}

[[noreturn]] void failNotFinite(const char* text, const std::string& name, const Eigen::Ref<const Matrix>& x)
{
    for (long t = 0; t < x.rows(); ++t)
        for (long i = 0; i < x.cols(); ++i)
            if (!std::isfinite(x(t, i)))
                fail(text, name, i, static_cast<double>(x(t, i)));
    assert(false);
    std::abort();
}

std::uint64_t bytesOfSums(long matrices, long cols)
{
    return static_cast<std::uint64_t>(matrices) * static_cast<std::uint64_t>(cols)
        * (2 * sizeof(double) + sizeof(float));
}

template <typename T>
void roundToFloats(T& values)
{
    values = values.template cast<float>().template cast<double>().eval();
}

} // namespace

InputSums::InputSums(std::string name, long matrices, long cols, bool hessians)
    : m_name(std::move(name))
    , m_largest(Matrix::Zero(matrices, cols))
    , m_squares(Eigen::MatrixXd::Zero(matrices, cols))
    , m_magnitudes(Eigen::MatrixXd::Zero(matrices, cols))
    , m_counts(static_cast<std::size_t>(matrices))
    , m_histograms(emptyHistograms())
    , m_wantsHessians(hessians)
    , m_products(static_cast<std::size_t>(matrices))
{
}

std::uint64_t InputSums::bytes(long matrices, long cols, bool hessians)
{
    const std::uint64_t products = hessians ? static_cast<std::uint64_t>(matrices) * ProductSum::bytes(cols) : 0;
    return bytesOfSums(matrices, cols) + OutputCounts::bytes() + products;
}

std::uint64_t InputSums::resultBytes(long matrices, long cols)
{
    return bytesOfSums(matrices, cols) + 2 * LogHistogram::kBins * sizeof(std::uint64_t);
}

void InputSums::addStrip(long part, long matrix, const Eigen::Ref<const Matrix>& x)
{
    const long width = std::max(kNarrowest, (x.cols() + kCountedParts - 1) / kCountedParts), first = part * width;
    const long n = std::min(width, x.cols() - first);
    if (n <= 0)
        return;
    const Strip strip {m_squares.row(matrix).data() + first, m_magnitudes.row(matrix).data() + first,
                       m_largest.row(matrix).data() + first, n};
    LogCounter counter(m_histograms[static_cast<std::size_t>(part)].counts);
    bool finite = true;
    for (long t = 0; t < x.rows(); t += kTokens) {
        const float* values = x.row(t).data() + first;
        const long tokens = std::min(kTokens, x.rows() - t);
        if (tokens == kTokens)
            addTokens<kTokens>(strip, values, x.outerStride());
        else
            for (long i = 0; i < tokens; ++i)
                addTokens<1>(strip, values + i * x.outerStride(), x.outerStride());
        for (long i = 0; i < tokens; ++i)
            finite &= counter.add(values + i * x.outerStride(), n);
    }
    if (!finite)
        failNotFinite(QUERN_TEXT("core",
                                 "An input of %1 in column %2 is %3: the model does not compute finite numbers on this "
                                 "text. Its weights may be damaged, or too large for floats."),
                      m_name, x);
}

void InputSums::add(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    assert(x.cols() == m_squares.cols());
    if (x.rows() == 0)
        return;
    addValues(matrix, x, progress);
    if (m_wantsHessians)
        addProducts(matrix, x, progress);
}

void InputSums::add(long matrix, const Eigen::Ref<const Matrix>& x, const Matrix& original, Progress& progress)
{
    assert(m_wantsHessians && x.rows() == original.rows() && x.cols() == original.cols());
    addValues(matrix, x, progress);
    Matrix both(x.rows(), 2 * x.cols());
    both.leftCols(x.cols()) = x;
    both.rightCols(x.cols()) = original - x;
    addProducts(matrix, both, progress);
}

void InputSums::addValues(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    parallelFor(kCountedParts, progress, [&](long part) { addStrip(part, matrix, x); });
    m_counts[static_cast<std::size_t>(matrix)] += static_cast<double>(x.rows());
}

void InputSums::addProducts(long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    auto& products = m_products[static_cast<std::size_t>(matrix)];
    if (!products)
        products.emplace(x.cols());
    products->add(x, progress);
}

double InputSums::count() const
{
    return std::accumulate(m_counts.begin(), m_counts.end(), 0.0);
}

InputStats InputSums::finished(Progress& progress)
{
    InputStats stats;
    for (std::size_t i = 0; m_wantsHessians && i < m_products.size(); ++i) {
        std::optional<ProductSum>& products = m_products[i];
        stats.hessians.push_back(products ? std::make_shared<const Hessian>(products->mean(progress)) : nullptr);
        products.reset();
        std::shared_ptr<const Hessian>& h = stats.hessians.back();
        if (h && h->size > m_squares.cols()) {
            stats.drifted = h;
            h = std::make_shared<const Hessian>(h->leading(m_squares.cols()));
        }
    }
    stats.sumSquares = m_squares;
    stats.sumMagnitudes = m_magnitudes;
    roundToFloats(stats.sumSquares);
    roundToFloats(stats.sumMagnitudes);
    stats.maxMagnitudes = std::move(m_largest);
    for (const double n : m_counts)
        stats.counts.push_back(static_cast<double>(static_cast<float>(n)));
    stats.inputs = sum(m_histograms);
    return stats;
}

OutputCounts::OutputCounts(std::string name)
    : m_name(std::move(name))
    , m_histograms(emptyHistograms())
{
}

std::uint64_t OutputCounts::bytes()
{
    return kCountedParts * LogHistogram::kBins * sizeof(std::uint64_t);
}

void OutputCounts::add(const Eigen::Ref<const Matrix>& y, Progress& progress)
{
    const long step = (y.rows() + kCountedParts - 1) / kCountedParts;
    std::atomic<bool> finite = true;
    parallelFor(kCountedParts, progress, [&](long part) {
        LogCounter counter(m_histograms[static_cast<std::size_t>(part)].counts);
        for (long t = part * step; t < std::min((part + 1) * step, y.rows()); ++t)
            if (!counter.add(y.row(t).data(), y.cols()))
                finite = false;
    });
    if (!finite)
        failNotFinite(QUERN_TEXT("core",
                                 "An output of %1 in row %2 is %3: the model does not compute finite numbers on this "
                                 "text. Its weights may be damaged, or too large for floats."),
                      m_name, y);
}

LogHistogram OutputCounts::finished() const
{
    return sum(m_histograms);
}

} // namespace quern
