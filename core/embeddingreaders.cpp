#include "core/embeddingreaders.h"

#include "core/folds.h"

#include <algorithm>
#include <cassert>

namespace quern {

bool hasReaders(const Network& network)
{
    return network.head.weight.name != network.embedding.name && !network.blocks.empty();
}

InputStats embeddingReaders(const Network& network, double tokens, Progress& progress)
{
    assert(hasReaders(network));
    constexpr long kRows = 512; // at once
    const Fold fold = foldsOf(network, 0).front();
    const Matrix gains = decoded(fold.producer);
    const long width = fold.channels;
    ProductSum sum(width);
    for (const Tensor& reader : fold.consumers)
        for (long first = 0; first < reader.rows(); first += kRows) {
            progress.check();
            Matrix rows(std::min(kRows, reader.rows() - first), width);
            decodeRows(reader, first, rows.rows(), rows.data());
            rows.array().rowwise() *= gains.row(0).array();
            if (network.architecture->computation.layerNorms)
                rows.colwise() -= rows.rowwise().mean().eval();
            sum.add(rows, progress);
        }
    network.check();
    InputStats stats;
    stats.counts = {tokens};
    stats.hessians = {std::make_shared<const Hessian>(sum.mean(progress))};
    stats.sumSquares.resize(1, width);
    for (long i = 0; i < width; ++i)
        stats.sumSquares(0, i)
            = tokens * double {stats.hessians[0]->lower[static_cast<std::size_t>(Hessian::values(i + 1) - 1)]};
    return stats;
}

} // namespace quern
