#include "core/hessian.h"

#include "core/error.h"
#include "core/multiply.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cmath>

namespace quern {
namespace {

constexpr long kTile = 128;    // rows and columns of H summed by one task; a multiple of the width of a panel
constexpr long kVectors = 512; // whose products are summed as floats

struct Values final : Storage {
    explicit Values(std::vector<float> from)
        : values(std::move(from))
    {
    }
    std::vector<float> values;
};

// Row and column of tile `i` in the lower triangle.
std::pair<long, long> placeOf(long i)
{
    auto row = static_cast<long>((std::sqrt(8.0 * static_cast<double>(i) + 1.0) - 1.0) / 2.0);
    while (row * (row + 1) / 2 > i)
        --row;
    while ((row + 1) * (row + 2) / 2 <= i)
        ++row;
    return {row, i - row * (row + 1) / 2};
}

} // namespace

Hessian Hessian::of(long size, std::vector<float> lower)
{
    assert(static_cast<long>(lower.size()) == values(size));
    const auto owner = std::make_shared<const Values>(std::move(lower));
    return {size, owner->values, owner, nullptr};
}

Hessian Hessian::rescaled(const Eigen::Ref<const Matrix>& by) const
{
    assert(by.rows() == 1 && by.cols() == size);
    Hessian result = *this;
    result.scale = std::make_shared<const Matrix>(scale ? Matrix(scale->cwiseProduct(by)) : Matrix(by));
    return result;
}

Hessian Hessian::leading(long n) const
{
    assert(n <= size && !scale);
    return {n, lower.first(static_cast<std::size_t>(values(n))), owner, nullptr};
}

std::vector<float> Hessian::diagonal() const
{
    std::vector<float> squares;
    for (long i = 0; i < size; ++i) {
        const float value = lower[static_cast<std::size_t>(values(i) + i)];
        squares.push_back(scale ? value * (*scale)(0, i) * (*scale)(0, i) : value);
    }
    return squares;
}

float Hessian::at(long i, long j) const
{
    const auto [least, most] = std::minmax(i, j);
    const float value = lower[static_cast<std::size_t>(values(most) + least)];
    return scale ? value * (*scale)(0, most) * (*scale)(0, least) : value;
}

void Hessian::check(Progress& progress) const
{
    std::atomic<bool> sound = true;
    parallelFor(size, progress, [&](long i) {
        bool finite = at(i, i) >= 0;
        for (long j = 0; j <= i; ++j)
            finite &= std::isfinite(at(i, j));
        if (!finite)
            sound = false;
    });
    owner->check();
    if (!sound)
        fail(QUERN_TEXT("core",
                        "The products of inputs (H) of %1 columns hold values that no finite inputs give. The "
                        "calibration may be damaged; make it again."),
             size);
}

Matrix Hessian::matrix(Progress& progress) const
{
    check(progress);
    Matrix h(size, size);
    parallelFor(size, progress, [&](long i) {
        for (long j = 0; j <= i; ++j)
            h(i, j) = h(j, i) = at(i, j);
    });
    return h;
}

ProductSum::ProductSum(long size)
    : m_size(size)
    , m_tiles((size + kTile - 1) / kTile)
    , m_sums(static_cast<std::size_t>(m_tiles * (m_tiles + 1) / 2 * kTile * kTile))
{
    assert(kTile % PackedMatrix::panelRows() == 0);
}

std::uint64_t ProductSum::bytes(long size)
{
    const auto tiles = static_cast<std::uint64_t>((size + kTile - 1) / kTile);
    const std::uint64_t sums = tiles * (tiles + 1) / 2 * kTile * kTile * sizeof(double);
    return sums + 3 * tiles * kTile * kVectors * sizeof(float);
}

void ProductSum::add(const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    assert(x.cols() == m_size);
    for (long first = 0; first < x.rows();) {
        const long n = std::min(kVectors - m_waiting, x.rows() - first);
        if (n == kVectors) {
            take(x.middleRows(first, n), progress);
        } else {
            m_rows.resize(kVectors, m_size); // keeps what is there if the size is the same
            m_rows.middleRows(m_waiting, n) = x.middleRows(first, n);
            m_waiting += n;
            if (m_waiting == kVectors) {
                m_waiting = 0;
                take(m_rows, progress);
            }
        }
        first += n;
    }
}

void ProductSum::take(const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    const long vectors = x.rows(), panel = PackedMatrix::panelRows(), perTile = kTile / panel;
    m_columns.resize(m_tiles * kTile, vectors);
    m_panels.resize(m_tiles * perTile * vectors, panel);
    parallelFor(m_tiles, progress, [&](long tile) {
        const long first = tile * kTile, n = std::min(kTile, m_size - first);
        m_columns.middleRows(first, n) = x.middleCols(first, n).transpose();
        for (long i = 0; i < perTile; ++i) {
            const long column = first + i * panel, count = std::clamp(m_size - column, 0L, panel);
            packColumns(x.data() + std::min(column, m_size), x.outerStride(), count, vectors,
                        m_panels.row((tile * perTile + i) * vectors).data());
        }
    });
    const long tileValues = kTile * kTile;
    parallelFor(m_tiles * (m_tiles + 1) / 2, progress, [&](long i) {
        addTile(i, std::span(m_sums).subspan(static_cast<std::size_t>(i * tileValues), std::size_t {kTile * kTile}));
    });
    m_count += static_cast<std::uint64_t>(vectors);
}

void ProductSum::addTile(long tile, std::span<double> sums) const
{
    const auto [row, col] = placeOf(tile);
    const long vectors = m_columns.cols(), panel = PackedMatrix::panelRows(), perTile = kTile / panel;
    const long rows = std::min(kTile, m_size - row * kTile);
    std::array<float, std::size_t {kTile * kTile}> products;
    for (long i = 0; i < perTile; ++i) {
        const long skipped = row == col ? i * panel : 0; // rows above the diagonal
        if (skipped >= rows)
            break;
        multiplyPanel({.x = m_columns.row(row * kTile + skipped).data(),
                       .xStride = vectors,
                       .tokens = rows - skipped,
                       .y = products.data() + skipped * panel,
                       .yStride = panel},
                      m_panels.row((col * perTile + i) * vectors).data(), panel, 0, vectors);
        for (long r = skipped; r < rows; ++r) {
            double* to = sums.data() + r * kTile + i * panel;
            for (long c = 0; c < panel; ++c)
                to[c] += products[static_cast<std::size_t>(r * panel + c)];
        }
    }
}

Hessian ProductSum::mean(Progress& progress)
{
    if (m_waiting > 0)
        take(m_rows.topRows(std::exchange(m_waiting, 0)), progress);
    assert(m_count > 0);
    m_rows.resize(0, 0);
    m_columns.resize(0, 0);
    m_panels.resize(0, 0);
    const auto n = static_cast<double>(m_count);
    std::vector<float> lower(static_cast<std::size_t>(Hessian::values(m_size)));
    parallelFor(m_size, progress, [&](long i) {
        float* out = lower.data() + Hessian::values(i);
        const long row = i / kTile;
        for (long j = 0; j <= i; ++j) {
            const long tile = row * (row + 1) / 2 + j / kTile;
            out[j] = static_cast<float>(m_sums[static_cast<std::size_t>((tile * kTile + i % kTile) * kTile + j % kTile)]
                                        / n);
        }
    });
    std::vector<double>().swap(m_sums);
    return Hessian::of(m_size, std::move(lower));
}

} // namespace quern
