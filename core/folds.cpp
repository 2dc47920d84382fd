#include "core/folds.h"

#include <cassert>

namespace quern {
namespace {

using Part = std::optional<LinearTensors>;

std::vector<Tensor> weightsOf(std::initializer_list<const Part*> parts)
{
    std::vector<Tensor> weights;
    for (const Part* part : parts)
        if (*part)
            weights.push_back((*part)->weight);
    return weights;
}

Fold ofNorm(const NormTensors& norm, std::vector<Tensor> consumers)
{
    return {
        .producer = norm.weight, .bias = norm.bias, .channels = norm.weight.count(), .consumers = std::move(consumers)};
}

// The last rows of `producer`, as many as its consumer has channels.
Fold ofRows(const LinearTensors& producer, const Tensor& consumer, long channels)
{
    const long matrices = producer.weight.matrices();
    return {.producer = producer.weight,
            .bias = producer.bias,
            .firstRow = producer.weight.rows() / matrices - channels,
            .channels = channels,
            .matrices = matrices,
            .consumers = {consumer}};
}

Fold ofValues(const Sizes& sizes, const BlockTensors& block)
{
    const LinearTensors& producer = block.value ? *block.value : *block.fusedHeads;
    Fold fold = ofRows(producer, block.output.weight, sizes.kvHeads * sizes.valueSize);
    const long sharing = sizes.heads / sizes.kvHeads;
    if (sharing > 1)
        for (long head = 0; head < sizes.heads; ++head)
            for (long i = 0; i < sizes.valueSize; ++i)
                fold.channelOf.push_back(head / sharing * sizes.valueSize + i);
    return fold;
}

Matrix& colsOf(const Tensor& tensor, FactorsByName& factors)
{
    Matrix& cols = factors[tensor.name].cols;
    if (cols.size() == 0)
        cols = Matrix::Ones(tensor.matrices(), tensor.cols());
    return cols;
}

// Of a vector the elements, of a matrix the rows.
void divide(const Tensor& tensor, long first, const Matrix& scales, FactorsByName& factors)
{
    if (tensor.shape.size() == 1) {
        colsOf(tensor, factors).middleCols(first, scales.cols()).array() /= scales.row(0).array();
        return;
    }
    std::vector<float>& rows = factors[tensor.name].rows;
    rows.resize(static_cast<std::size_t>(tensor.rows()), 1.0f);
    const long each = tensor.rows() / scales.rows();
    for (long matrix = 0; matrix < scales.rows(); ++matrix)
        for (long c = 0; c < scales.cols(); ++c)
            rows[static_cast<std::size_t>(matrix * each + first + c)] /= scales(matrix, c);
}

} // namespace

std::vector<Fold> foldsOf(const Network& network, long block)
{
    const BlockTensors& from = network.blocks.at(static_cast<std::size_t>(block));
    const Sizes& sizes = network.sizes;
    std::vector<Fold> folds;
    folds.push_back(ofNorm(from.attentionNorm, weightsOf({&from.query, &from.key, &from.value, &from.fusedHeads})));
    folds.push_back(ofValues(sizes, from));
    folds.push_back(ofNorm(from.feedForwardNorm,
                           weightsOf({&from.gate, &from.up, &from.router, &from.expertGate, &from.expertUp,
                                      &from.sharedRouter, &from.sharedGate, &from.sharedUp})));
    if (!network.architecture->computation.gated)
        return folds;
    for (const auto& [up, down] : {std::pair(&from.up, &from.down), std::pair(&from.expertUp, &from.expertDown),
                                   std::pair(&from.sharedUp, &from.sharedDown)})
        if (*up)
            folds.push_back(ofRows(**up, (*down)->weight, (*down)->weight.cols()));
    return folds;
}

void apply(const Fold& fold, const Matrix& scales, FactorsByName& factors)
{
    assert(scales.rows() == fold.matrices && scales.cols() == fold.channels && scales.minCoeff() > 0);
    divide(fold.producer, fold.firstRow, scales, factors);
    if (fold.bias)
        divide(*fold.bias, fold.firstRow, scales, factors);
    for (const Tensor& consumer : fold.consumers) {
        Matrix& cols = colsOf(consumer, factors);
        for (long matrix = 0; matrix < cols.rows(); ++matrix)
            for (long c = 0; c < cols.cols(); ++c)
                cols(matrix, c) *= scales(fold.matrices > 1 ? matrix : 0,
                                          fold.channelOf.empty() ? c : fold.channelOf[static_cast<std::size_t>(c)]);
    }
}

} // namespace quern
