#include "core/multiply.h"

#include <algorithm>
#include <cassert>

// Eigen's packets carry attributes that say nothing as template arguments.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace quern {
namespace {

// Eigen's own kernel reaches less (see docs/performance.md), and sums up differently at the edges of a matrix.
using Packet = Eigen::internal::packet_traits<float>::type;
constexpr long kLanes = Eigen::internal::packet_traits<float>::size;
constexpr int kWide = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 4 : 2; // packets across a panel
constexpr int kTall = 6; // tokens at once: kTall * kWide sums and kWide + 1 factors stay in registers
constexpr long kPanel = kLanes * kWide;
constexpr long kDeep = 256;   // columns at once: that part of a panel stays in the cache
constexpr long kTokens = 480; // of one task: their part of x stays in the cache too

// Adds the products of `Tall` rows of x with a panel's columns [0, depth) to y, or stores them.
template <int Tall>
void tile(const float* x, long xStride, const float* panel, long depth, float* y, long yStride, bool add)
{
    using namespace Eigen::internal;
    Packet sums[Tall][kWide];
    for (auto& row : sums)
        for (Packet& sum : row)
            sum = pset1<Packet>(0);
    for (long k = 0; k < depth; ++k, panel += kPanel) {
        Packet w[kWide];
        for (int j = 0; j < kWide; ++j)
            w[j] = pload<Packet>(panel + j * kLanes);
        for (int i = 0; i < Tall; ++i) {
            const Packet value = pset1<Packet>(x[i * xStride + k]);
            for (int j = 0; j < kWide; ++j)
                sums[i][j] = pmadd(value, w[j], sums[i][j]);
        }
    }
    for (int i = 0; i < Tall; ++i)
        for (int j = 0; j < kWide; ++j) {
            float* to = y + i * yStride + j * kLanes;
            pstoreu(to, add ? padd(ploadu<Packet>(to), sums[i][j]) : sums[i][j]);
        }
}

template <int Tall>
void tiles(long tokens, const float* x, long xStride, const float* panel, long depth, float* y, long yStride, bool add)
{
    if (tokens == Tall)
        tile<Tall>(x, xStride, panel, depth, y, yStride, add);
    else if constexpr (Tall > 1)
        tiles<Tall - 1>(tokens, x, xStride, panel, depth, y, yStride, add);
}

} // namespace

PackedMatrix::PackedMatrix(long rows, long cols)
    : m_rows(rows)
    , m_cols(cols)
    , m_values((rows + kPanel - 1) / kPanel * cols, kPanel)
{
}

long PackedMatrix::panelRows()
{
    return kPanel;
}

std::uint64_t PackedMatrix::bytes(long rows, long cols)
{
    return static_cast<std::uint64_t>((rows + kPanel - 1) / kPanel * kPanel * cols) * sizeof(float);
}

void packRows(const float* w, long stride, long rows, long cols, float* panel)
{
    using namespace Eigen::internal;
    long done = 0;
    for (; done + kLanes <= rows; done += kLanes) {
        long k = 0;
        for (; k + kLanes <= cols; k += kLanes) {
            PacketBlock<Packet, kLanes> block;
            for (long i = 0; i < kLanes; ++i)
                block.packet[i] = ploadu<Packet>(w + (done + i) * stride + k);
            ptranspose(block);
            for (long i = 0; i < kLanes; ++i)
                pstore(panel + (k + i) * kPanel + done, block.packet[i]);
        }
        for (; k < cols; ++k)
            for (long i = done; i < done + kLanes; ++i)
                panel[k * kPanel + i] = w[i * stride + k];
    }
    for (long k = 0; k < cols; ++k) {
        for (long i = done; i < rows; ++i)
            panel[k * kPanel + i] = w[i * stride + k];
        std::fill(panel + k * kPanel + std::max(done, rows), panel + (k + 1) * kPanel, 0.0F);
    }
}

void packColumns(const float* w, long stride, long rows, long cols, float* panel)
{
    for (long k = 0; k < cols; ++k, panel += kPanel) {
        std::copy_n(w + k * stride, rows, panel);
        std::fill(panel + rows, panel + kPanel, 0.0F);
    }
}

void multiplyPanel(const Product& product, const float* panel, long rows, long first, long last)
{
    alignas(64) float edge[kTall * kPanel];
    for (long from = first; from < last; from += kDeep) {
        const long depth = std::min(kDeep, last - from);
        for (long token = 0; token < product.tokens; token += kTall) {
            const long tall = std::min<long>(kTall, product.tokens - token);
            const float* x = product.x + token * product.xStride + from;
            float* y = product.y + token * product.yStride;
            const bool add = from > first;
            if (rows == kPanel) {
                tiles<kTall>(tall, x, product.xStride, panel + from * kPanel, depth, y, product.yStride, add);
                continue;
            }
            tiles<kTall>(tall, x, product.xStride, panel + from * kPanel, depth, edge, kPanel, false);
            for (long i = 0; i < tall; ++i)
                for (long j = 0; j < rows; ++j)
                    y[i * product.yStride + j] = (add ? y[i * product.yStride + j] : 0) + edge[i * kPanel + j];
        }
    }
}

void multiply(const Eigen::Ref<const Matrix>& x, const PackedMatrix& w, Matrix& y, Progress& progress)
{
    assert(x.cols() == w.cols());
    y.resize(x.rows(), w.rows());
    const long parts = (x.rows() + kTokens - 1) / kTokens;
    parallelFor(parts * w.panels(), progress, [&](long i) {
        const long token = i / w.panels() * kTokens, panel = i % w.panels(), row = panel * kPanel;
        multiplyPanel({.x = x.data() + token * x.outerStride(),
                       .xStride = x.outerStride(),
                       .tokens = std::min(kTokens, x.rows() - token),
                       .y = y.data() + token * y.outerStride() + row,
                       .yStride = y.outerStride()},
                      w.panel(panel), w.rowsOf(panel), 0, w.cols());
    });
}

void multiply(const Eigen::Ref<const Matrix>& x, const Tensor& w, long matrix, Matrix& y, Progress& progress)
{
    assert(x.cols() == w.cols());
    const long rows = w.rows() / w.matrices();
    y.resize(x.rows(), rows);
    parallelFor((rows + kPanel - 1) / kPanel, progress, [&](long i) {
        const long row = i * kPanel, count = std::min(kPanel, rows - row);
        Matrix values(count, w.cols());
        PackedMatrix panel(count, w.cols());
        decodeRows(w, matrix * rows + row, count, values.data());
        packRows(values.data(), w.cols(), count, w.cols(), panel.panel(0));
        multiplyPanel({.x = x.data(),
                       .xStride = x.outerStride(),
                       .tokens = x.rows(),
                       .y = y.data() + row,
                       .yStride = y.outerStride()},
                      panel.panel(0), count, 0, w.cols());
    });
}

PackedMatrix packed(const Tensor& tensor, Progress& progress)
{
    PackedMatrix result(tensor.rows(), tensor.cols());
    parallelFor(result.panels(), progress, [&](long i) {
        const long rows = result.rowsOf(i);
        Matrix values(rows, tensor.cols());
        decodeRows(tensor, i * kPanel, rows, values.data());
        packRows(values.data(), tensor.cols(), rows, tensor.cols(), result.panel(i));
    });
    return result;
}

} // namespace quern
