#include "core/multiply.h"

#include <algorithm>
#include <cassert>
#include <utility>

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
constexpr long kDeep = 384;       // columns at once: that part of a panel stays in the cache
constexpr long kTokens = 480;     // of one task: their part of x stays in the cache too
constexpr long kGroup = 16;       // panels of one task
constexpr long kDecodedGroup = 4; // panels that one task decodes

// Rows of x, the columns [0, depth) of a panel, and where their products go.
struct Block {
    const float* x;
    long xStride;
    const float* panel;
    long depth;
    float* y;
    long yStride;
    bool add; // to what y holds
};

// The products of `Tall` rows of x.
template <int Tall>
void tile(const Block& block)
{
    using namespace Eigen::internal;
    Packet sums[Tall][kWide];
    for (auto& row : sums)
        for (Packet& sum : row)
            sum = pset1<Packet>(0);
    const float* panel = block.panel;
    for (long k = 0; k < block.depth; ++k, panel += kPanel) {
        Packet w[kWide];
        for (int j = 0; j < kWide; ++j)
            w[j] = pload<Packet>(panel + j * kLanes);
        for (int i = 0; i < Tall; ++i) {
            const Packet value = pset1<Packet>(block.x[i * block.xStride + k]);
            for (int j = 0; j < kWide; ++j)
                sums[i][j] = pmadd(value, w[j], sums[i][j]);
        }
    }
    for (int i = 0; i < Tall; ++i)
        for (int j = 0; j < kWide; ++j) {
            float* to = block.y + i * block.yStride + j * kLanes;
            pstoreu(to, block.add ? padd(ploadu<Packet>(to), sums[i][j]) : sums[i][j]);
        }
}

// The same of 1 to Tall rows.
template <int Tall>
void tile(long rows, const Block& block)
{
    if (rows == Tall)
        tile<Tall>(block);
    else if constexpr (Tall > 1)
        tile<Tall - 1>(rows, block);
}

// A panel's products with all rows of x. rows: of the panel that are filled.
void tiles(const Product& product, Block block, long rows)
{
    if (rows == kPanel) {
        for (long token = 0; token < product.tokens; token += kTall) {
            tile<kTall>(std::min<long>(kTall, product.tokens - token), block);
            block.x += kTall * block.xStride;
            block.y += kTall * block.yStride;
        }
        return;
    }
    alignas(64) float edge[kTall * kPanel];
    const Block real = std::exchange(block, {block.x, block.xStride, block.panel, block.depth, edge, kPanel, false});
    for (long token = 0; token < product.tokens; token += kTall) {
        const long tall = std::min<long>(kTall, product.tokens - token);
        tile<kTall>(tall, block);
        block.x += kTall * block.xStride;
        for (long i = 0; i < tall; ++i)
            for (long j = 0; j < rows; ++j) {
                float& to = real.y[(token + i) * real.yStride + j];
                to = (real.add ? to : 0) + edge[i * kPanel + j];
            }
    }
}

// y of `rows` out features from panels that follow each other, of `cols` columns; at most kTokens tokens. Their part
// of x is copied together: rows of x lie apart by powers of two, which would all go to the same lines of the cache.
void multiplyPanels(const Product& product, const float* panels, long rows, long cols)
{
    Matrix x(product.tokens, std::min(kDeep, cols));
    for (long from = 0; from < cols; from += kDeep) {
        const long depth = std::min(kDeep, cols - from);
        for (long token = 0; token < product.tokens; ++token)
            std::copy_n(product.x + token * product.xStride + from, depth, x.row(token).data());
        for (long row = 0; row < rows; row += kPanel)
            tiles(product,
                  {.x = x.data(),
                   .xStride = x.outerStride(),
                   .panel = panels + row * cols + from * kPanel,
                   .depth = depth,
                   .y = product.y + row,
                   .yStride = product.yStride,
                   .add = from > 0},
                  std::min(kPanel, rows - row));
    }
}

// Panel `panel` of `to` from rows of a tensor, `row` being its first.
void decodePanel(const Tensor& tensor, long row, PackedMatrix& to, long panel)
{
    Matrix values(to.rowsOf(panel), to.cols());
    decodeRows(tensor, row, values.rows(), values.data());
    packRows(values.data(), to.cols(), values.rows(), to.cols(), to.panel(panel));
}

} // namespace

PackedMatrix::PackedMatrix(long rows, long cols)
    : m_rows(rows)
    , m_cols(cols)
    , m_values((rows + kPanel - 1) / kPanel * cols, kPanel)
{
}

void addColumns(std::span<const Term> terms, const float* panel, long rows, float* y)
{
    using namespace Eigen::internal;
    alignas(64) float edge[kPanel] {};
    float* to = rows == kPanel ? y : std::copy_n(y, rows, edge) - rows;
    Packet sums[kWide];
    for (int j = 0; j < kWide; ++j)
        sums[j] = ploadu<Packet>(to + j * kLanes);
    for (const Term& term : terms) {
        const Packet factor = pset1<Packet>(term.factor);
        for (int j = 0; j < kWide; ++j)
            sums[j] = pmadd(factor, pload<Packet>(panel + term.column * kPanel + j * kLanes), sums[j]);
    }
    for (int j = 0; j < kWide; ++j)
        pstoreu(to + j * kLanes, sums[j]);
    if (to == edge)
        std::copy_n(edge, rows, y);
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
    for (long from = first; from < last; from += kDeep)
        tiles(product,
              {.x = product.x + from,
               .xStride = product.xStride,
               .panel = panel + from * kPanel,
               .depth = std::min(kDeep, last - from),
               .y = product.y,
               .yStride = product.yStride,
               .add = from > first},
              rows);
}

void multiply(const Eigen::Ref<const Matrix>& x, const PackedMatrix& w, Matrix& y, Progress& progress)
{
    assert(x.cols() == w.cols());
    y.resize(x.rows(), w.rows());
    const long parts = (x.rows() + kTokens - 1) / kTokens, panels = w.panels();
    const long group = std::clamp(parts * panels / (4L * threads()), 1L, kGroup);
    const long groups = (panels + group - 1) / group;
    parallelFor(parts * groups, progress, [&](long i) {
        const long token = i / groups * kTokens, panel = i % groups * group;
        multiplyPanels({.x = x.data() + token * x.outerStride(),
                        .xStride = x.outerStride(),
                        .tokens = std::min(kTokens, x.rows() - token),
                        .y = y.data() + token * y.outerStride() + panel * kPanel,
                        .yStride = y.outerStride()},
                       w.panel(panel), std::min(group * kPanel, w.rows() - panel * kPanel), w.cols());
    });
}

void multiply(const Eigen::Ref<const Matrix>& x, const Tensor& w, long matrix, Matrix& y, Progress& progress)
{
    assert(x.cols() == w.cols());
    const long rows = w.rows() / w.matrices(), panels = (rows + kPanel - 1) / kPanel;
    y.resize(x.rows(), rows);
    const long group = std::clamp(panels / (4L * threads()), 1L, kDecodedGroup);
    parallelFor((panels + group - 1) / group, progress, [&](long i) {
        const long row = i * group * kPanel, count = std::min(group * kPanel, rows - row);
        PackedMatrix decoded(count, w.cols());
        for (long panel = 0; panel < decoded.panels(); ++panel)
            decodePanel(w, matrix * rows + row + panel * kPanel, decoded, panel);
        for (long token = 0; token < x.rows(); token += kTokens)
            multiplyPanels({.x = x.data() + token * x.outerStride(),
                            .xStride = x.outerStride(),
                            .tokens = std::min(kTokens, x.rows() - token),
                            .y = y.data() + token * y.outerStride() + row,
                            .yStride = y.outerStride()},
                           decoded.panel(0), count, w.cols());
    });
}

PackedMatrix packed(const Tensor& tensor, Progress& progress)
{
    PackedMatrix result(tensor.rows(), tensor.cols());
    parallelFor(result.panels(), progress, [&](long i) { decodePanel(tensor, i * kPanel, result, i); });
    return result;
}

std::uint64_t packingBytes(long cols)
{
    return static_cast<std::uint64_t>(threads() * kPanel * cols) * sizeof(float);
}

std::uint64_t multiplyingBytes(long tokens, long cols, bool decodes)
{
    const auto copied = static_cast<std::uint64_t>(threads() * std::min(tokens, kTokens) * std::min(cols, kDeep));
    return copied * sizeof(float) + (decodes ? (kDecodedGroup + 1) * packingBytes(cols) : 0);
}

} // namespace quern
