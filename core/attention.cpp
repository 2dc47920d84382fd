#include "core/nn.h"

#include <cmath>

namespace quern::nn {
namespace {

constexpr long kChunk = 16; // as in nn.cpp: all elements take the same instructions
using Chunk = Eigen::Array<float, kChunk, 1>;
using Chunks = Eigen::Map<Chunk>;

// One key and value head of one sequence.
struct PackedHead {
    PackedMatrix keys;   // sequence x headSize
    PackedMatrix values; // valueSize x sequence
};

PackedHead packedHead(const Heads& heads, const Sizes& sizes, long head, long token, long sequence)
{
    PackedHead packed {{sequence, sizes.headSize}, {sizes.valueSize, sequence}};
    const float* keys = heads.key.row(token).data() + head * sizes.headSize;
    const float* values = heads.value.row(token).data() + head * sizes.valueSize;
    const long panel = PackedMatrix::panelRows();
    for (long i = 0; i < packed.keys.panels(); ++i)
        packRows(keys + i * panel * heads.key.outerStride(), heads.key.outerStride(), packed.keys.rowsOf(i),
                 sizes.headSize, packed.keys.panel(i));
    for (long i = 0; i < packed.values.panels(); ++i)
        packColumns(values + i * panel, heads.value.outerStride(), packed.values.rowsOf(i), sequence,
                    packed.values.panel(i));
    return packed;
}

// exp(x[i] - largest) over [first, last), 0 elsewhere up to n, a multiple of kChunk; divided by the sum.
void softmax(float* x, long n, long first, long last)
{
    const long from = first / kChunk * kChunk, to = (last + kChunk - 1) / kChunk * kChunk;
    std::fill(x + from, x + first, -INFINITY);
    std::fill(x + last, x + to, -INFINITY);
    Chunk largest = Chunks(x + from), sums = Chunk::Zero();
    for (long i = from + kChunk; i < to; i += kChunk)
        largest = largest.max(Chunks(x + i));
    const float top = largest.maxCoeff();
    for (long i = from; i < to; i += kChunk)
        Chunks(x + i) = (Chunk(Chunks(x + i)) - top).exp();
    std::fill(x, x + first, 0.0F);
    std::fill(x + last, x + n, 0.0F);
    for (long i = from; i < to; i += kChunk)
        sums += Chunks(x + i);
    const float scale = 1 / sums.sum();
    for (long i = from; i < to; i += kChunk)
        Chunks(x + i) *= scale;
}

void cap(float* x, long n, float cap)
{
    for (long i = 0; i < n; i += kChunk)
        Chunks(x + i) = (Chunk(Chunks(x + i)) / cap).tanh() * cap;
}

// Queries [first, first + count) of one head against the keys that they see.
class Tile {
public:
    Tile(const PackedHead& head, const Attention& attention, long window, long first, long count)
        : m_head(head)
        , m_attention(attention)
        , m_window(window)
        , m_first(first)
        , m_count(count)
        , m_panel(std::max(PackedMatrix::panelRows(), kChunk))
    {
        m_from = std::max(0L, first - window + 1) / m_panel * m_panel;
        m_to = (first + count + m_panel - 1) / m_panel * m_panel;
        m_scores.setZero(count, m_to - m_from);
    }

    // query, out: of the first token; rows begin `queryStride` and `outStride` apart.
    void run(const float* query, long queryStride, float* out, long outStride)
    {
        const long size = m_head.keys.cols(), width = PackedMatrix::panelRows(), keys = m_head.keys.rows();
        Matrix scaled = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>(query, m_count, size, {queryStride});
        scaled *= static_cast<float>(m_attention.scale);
        for (long key = m_from; key < std::min(m_to, keys); key += width)
            multiplyPanel({scaled.data(), size, m_count, m_scores.data() + key - m_from, m_scores.cols()},
                          m_head.keys.panel(key / width), std::min(width, keys - key), 0, size);
        for (long i = 0; i < m_count; ++i) {
            float* row = m_scores.row(i).data();
            if (m_attention.cap > 0)
                cap(row, m_scores.cols(), static_cast<float>(m_attention.cap));
            const long last = m_first + i + 1;
            softmax(row, m_scores.cols(), std::max(m_from, last - m_window) - m_from, last - m_from);
        }
        for (long i = 0; i < m_head.values.panels(); ++i)
            multiplyPanel({m_scores.data() - m_from, m_scores.cols(), m_count, out + i * width, outStride},
                          m_head.values.panel(i), m_head.values.rowsOf(i), m_from, std::min(m_first + m_count, keys));
    }

private:
    const PackedHead& m_head;
    const Attention& m_attention;
    long m_window, m_first, m_count, m_panel;
    long m_from = 0, m_to = 0; // keys, in whole panels
    Matrix m_scores;           // queries x keys
};

} // namespace

Matrix attend(const Heads& heads, const Sizes& sizes, const Attention& attention, long window, long sequence,
              Progress& progress)
{
    const long tokens = heads.query.rows(), group = sizes.heads / sizes.kvHeads, kvHeads = sizes.kvHeads;
    std::vector<PackedHead> packed(static_cast<std::size_t>(tokens / sequence * kvHeads));
    parallelFor(static_cast<long>(packed.size()), progress, [&](long i) {
        packed[static_cast<std::size_t>(i)] = packedHead(heads, sizes, i % kvHeads, i / kvHeads * sequence, sequence);
    });
    Matrix out(tokens, sizes.heads * sizes.valueSize);
    const long tiles = (sequence + kQueries - 1) / kQueries;
    parallelFor(static_cast<long>(packed.size()) * tiles, progress, [&](long i) {
        const long index = i / tiles, first = i % tiles * kQueries, token = index / kvHeads * sequence + first;
        Tile tile(packed[static_cast<std::size_t>(index)], attention, window, first,
                  std::min(kQueries, sequence - first));
        for (long head = index % kvHeads * group, last = head + group; head < last; ++head)
            tile.run(heads.query.row(token).data() + head * sizes.headSize, heads.query.outerStride(),
                     out.row(token).data() + head * sizes.valueSize, out.outerStride());
    });
    return out;
}

} // namespace quern::nn
