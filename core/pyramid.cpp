#include "core/pyramid.h"

#include "core/error.h"
#include "core/parallel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <memory>

namespace quern {
namespace {

constexpr long kCoarsest = 128; // cells along each side of the last level
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Magnitudes as the upper halves of floats, rounded up: their order as integers is that of the floats.
std::uint16_t upperHalf(float magnitude)
{
    const auto bits = std::bit_cast<std::uint32_t>(magnitude);
    return static_cast<std::uint16_t>((bits + 0xFFFFU) >> 16);
}

float fromUpperHalf(std::uint16_t half)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

void makeMagnitudes(float* x, long n)
{
    constexpr std::uint32_t kExponent = 0x7F800000;
    for (long i = 0; i < n; ++i) {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFU;
        x[i] = std::bit_cast<float>(std::min(bits, kExponent)); // what is no number becomes infinite
    }
}

// Columns [col, col + n) of a row: as few whole blocks as hold them are decoded.
void decodePart(const Tensor& tensor, long row, long col, long n, float* out)
{
    const BlockFormat& format = *tensor.format;
    const long cols = tensor.cols();
    const long block = format.values == 0 ? cols : format.values;
    const long first = col / block * block, last = std::min(cols, (col + n + block - 1) / block * block);
    const std::byte* bytes = tensor.row(row) + static_cast<std::size_t>(first / block) * format.rowBytes(block);
    if (first == col && last == col + n) {
        format.decode(format, bytes, {out, static_cast<std::size_t>(n)});
        return;
    }
    std::vector<float> whole(static_cast<std::size_t>(last - first));
    format.decode(format, bytes, whole);
    std::copy_n(whole.data() + (col - first), n, out);
}

// Cells [first, second) of the level that a pixel covers, for each of `pixels` pixels; empty outside the matrix.
std::vector<std::pair<long, long>> spansOf(double from, double size, long pixels, long scale, long cells, long limit)
{
    std::vector<std::pair<long, long>> spans;
    const double step = size / static_cast<double>(pixels);
    for (long i = 0; i < pixels; ++i) {
        const double low = from + step * static_cast<double>(i), high = from + step * static_cast<double>(i + 1);
        if (high <= 0 || low >= static_cast<double>(limit)) {
            spans.emplace_back(0, 0);
            continue;
        }
        const auto s = static_cast<double>(scale);
        const long first = std::clamp(static_cast<long>(std::floor(std::max(low, 0.0) / s)), 0L, cells - 1);
        const long last = std::clamp(static_cast<long>(std::ceil(std::min(high, static_cast<double>(limit)) / s)),
                                     first + 1, cells);
        spans.emplace_back(first, last);
    }
    return spans;
}

bool cheap(const Tensor& tensor)
{
    return tensor.format->values == 1 && tensor.format->bytes <= 4;
}

} // namespace

Pyramid::Pyramid(long rows, long cols, long finest, Values values, Progress& progress)
    : m_values(std::move(values))
    , m_rows(rows)
    , m_cols(cols)
{
    if (rows == 0 || cols == 0)
        return;
    buildFinest(finest, progress);
    while (std::max(m_levels.back().rows, m_levels.back().cols) > kCoarsest)
        buildNext();
}

void Pyramid::buildFinest(long scale, Progress& progress)
{
    Level level {.scale = scale, .rows = (m_rows + scale - 1) / scale, .cols = (m_cols + scale - 1) / scale};
    level.maxima.resize(static_cast<std::size_t>(level.rows * level.cols));
    std::vector<float> largest(static_cast<std::size_t>(level.rows));
    parallelFor(level.rows, progress, [&](long r) {
        std::vector<float> line(static_cast<std::size_t>(m_cols)), maxima(line.size());
        for (long row = r * scale; row < std::min(m_rows, (r + 1) * scale); ++row) {
            m_values(row, 0, m_cols, line.data());
            for (std::size_t c = 0; c < line.size(); ++c)
                maxima[c] = std::max(maxima[c], line[c]);
        }
        maxima.resize(static_cast<std::size_t>(level.cols * scale));
        std::uint16_t* out = level.maxima.data() + r * level.cols;
        float most = 0;
        for (long c = 0; c < level.cols; ++c) {
            const float* cell = maxima.data() + c * scale;
            for (long i = 0; i < scale; ++i)
                most = std::max(most, cell[i] < kInfinity ? cell[i] : 0.0F);
            out[c] = upperHalf(*std::max_element(cell, cell + scale));
        }
        largest[static_cast<std::size_t>(r)] = most;
    });
    m_largest = *std::ranges::max_element(largest);
    m_levels.push_back(std::move(level));
}

void Pyramid::buildNext()
{
    const Level& below = m_levels.back();
    Level level {.scale = 2 * below.scale, .rows = (below.rows + 1) / 2, .cols = (below.cols + 1) / 2};
    level.maxima.resize(static_cast<std::size_t>(level.rows * level.cols));
    for (long row = 0; row < below.rows; ++row) {
        const std::uint16_t* from = below.maxima.data() + row * below.cols;
        std::uint16_t* to = level.maxima.data() + row / 2 * level.cols;
        for (long col = 0; col < below.cols; ++col)
            to[col / 2] = std::max(to[col / 2], from[col]);
    }
    m_levels.push_back(std::move(level));
}

const Pyramid::Level* Pyramid::levelFor(double pixel) const
{
    const Level* best = nullptr;
    for (const Level& level : m_levels)
        if (static_cast<double>(level.scale) <= pixel)
            best = &level;
    return best;
}

// One row of pixels: cells [first, last) of each column span.
void Pyramid::reduceRow(const Level* level, long first, long last, std::span<const std::pair<long, long>> spans,
                        float* out) const
{
    long from = std::numeric_limits<long>::max(), to = 0;
    for (const auto& [low, high] : spans)
        if (low < high) {
            from = std::min(from, low);
            to = std::max(to, high);
        }
    if (from >= to) {
        std::fill_n(out, spans.size(), std::numeric_limits<float>::quiet_NaN());
        return;
    }
    const auto n = static_cast<std::size_t>(to - from);
    std::vector<float> line(n), maxima(n);
    std::vector<std::uint16_t> halves(level ? n : 0);
    for (long row = first; row < last; ++row) {
        if (level) {
            const std::uint16_t* cells = level->maxima.data() + row * level->cols + from;
            for (std::size_t c = 0; c < n; ++c)
                halves[c] = std::max(halves[c], cells[c]);
            continue;
        }
        m_values(row, from, to - from, line.data());
        for (std::size_t c = 0; c < n; ++c)
            maxima[c] = std::max(maxima[c], line[c]);
    }
    for (std::size_t i = 0; i < spans.size(); ++i) {
        const auto [low, high] = spans[i];
        out[i] = std::numeric_limits<float>::quiet_NaN();
        if (low < high)
            out[i] = level
                ? fromUpperHalf(*std::max_element(halves.data() + (low - from), halves.data() + (high - from)))
                : *std::max_element(maxima.data() + (low - from), maxima.data() + (high - from));
    }
}

void Pyramid::window(const Window& window, long outRows, long outCols, float* out) const
{
    const auto [row, col, height, width] = window;
    assert(height > 0 && width > 0 && outRows > 0 && outCols > 0);
    const double pixel = std::min(height / static_cast<double>(outRows), width / static_cast<double>(outCols));
    const Level* level = levelFor(pixel);
    const long scale = level ? level->scale : 1;
    const auto rowSpans = spansOf(row, height, outRows, scale, level ? level->rows : m_rows, m_rows);
    const auto colSpans = spansOf(col, width, outCols, scale, level ? level->cols : m_cols, m_cols);
    constexpr long kBand = 16; // rows of pixels a task
    NoProgress unwatched;
    parallelFor((outRows + kBand - 1) / kBand, unwatched, [&](long band) {
        for (long i = band * kBand; i < std::min(outRows, (band + 1) * kBand); ++i) {
            const auto [first, last] = rowSpans[static_cast<std::size_t>(i)];
            float* line = out + i * outCols;
            if (first >= last)
                std::fill_n(line, outCols, std::numeric_limits<float>::quiet_NaN());
            else if (i > band * kBand && last == first + 1
                     && rowSpans[static_cast<std::size_t>(i - 1)] == rowSpans[static_cast<std::size_t>(i)])
                std::copy_n(line - outCols, outCols, line); // zoomed in: the same weights again
            else
                reduceRow(level, first, last, colSpans, line);
        }
    });
}

Pyramid Pyramid::ofWeights(const Tensor& tensor, Progress& progress)
{
    const auto values = [tensor](long row, long col, long n, float* out) {
        decodePart(tensor, row, col, n, out);
        makeMagnitudes(out, n);
    };
    return {tensor.rows(), tensor.cols(), cheap(tensor) ? 4L : 2L, values, progress};
}

Pyramid Pyramid::ofErrors(const Tensor& original, const Tensor& stored, Progress& progress)
{
    if (original.shape != stored.shape)
        fail(QUERN_TEXT("core", "Tensor %1 has %2 x %3 weights, but %4 x %5 in the other model."), original.name,
             original.rows(), original.cols(), stored.rows(), stored.cols());
    const auto values = [original, stored](long row, long col, long n, float* out) {
        std::vector<float> q(static_cast<std::size_t>(n));
        decodePart(original, row, col, n, out);
        decodePart(stored, row, col, n, q.data());
        for (long i = 0; i < n; ++i)
            out[i] -= q[static_cast<std::size_t>(i)];
        makeMagnitudes(out, n);
    };
    return {original.rows(), original.cols(), 2, values, progress};
}

Pyramid Pyramid::ofMatrix(const Matrix& values, Progress& progress)
{
    const auto kept = std::make_shared<const Matrix>(values);
    const auto read = [kept](long row, long col, long n, float* out) {
        std::copy_n(kept->data() + row * kept->cols() + col, n, out);
        makeMagnitudes(out, n);
    };
    return {values.rows(), values.cols(), 4, read, progress};
}

} // namespace quern
