#include "core/nn.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <numeric>

namespace quern::nn {
namespace {

// Elements are worked on in chunks of one size, the last one filled up, so that all of them take the same instructions:
// Eigen alone would treat those at the edges otherwise, and where the edges are depends on the address.
constexpr long kChunk = 16;
using Chunk = Eigen::Array<float, kChunk, 1>;
using Chunks = Eigen::Map<Chunk>;
using ConstChunks = Eigen::Map<const Chunk>;

// x[i] = change(x[i], y[i]), of chunks.
template <typename Change>
void change(float* x, const float* y, long n, Change change)
{
    long i = 0;
    for (; i + kChunk <= n; i += kChunk)
        Chunks(x + i) = change(Chunk(Chunks(x + i)), Chunk(ConstChunks(y + i)));
    if (i == n)
        return;
    Chunk last = Chunk::Zero(), other = Chunk::Zero();
    std::copy_n(x + i, n - i, last.data());
    std::copy_n(y + i, n - i, other.data());
    last = change(Chunk(last), other);
    std::copy_n(last.data(), n - i, x + i);
}

// Sum of f(x[i]), of chunks; f(0) is 0.
template <typename Function>
double sum(const float* x, long n, Function f)
{
    Chunk sums = Chunk::Zero();
    long i = 0;
    for (; i + kChunk <= n; i += kChunk)
        sums += f(Chunk(ConstChunks(x + i)));
    if (i < n) {
        Chunk last = Chunk::Zero();
        std::copy_n(x + i, n - i, last.data());
        sums += f(last);
    }
    return sums.cast<double>().sum();
}

double squares(const float* x, long n)
{
    return sum(x, n, [](const Chunk& v) { return Chunk(v * v); });
}

void normaliseRow(const float* x, const Norm& norm, double epsilon, float* to)
{
    const long n = norm.weight.size();
    const auto count = static_cast<double>(n);
    const float* w = norm.weight.data();
    if (norm.bias.size() == 0) {
        const auto scale = static_cast<float>(1 / std::sqrt(squares(x, n) / count + epsilon));
        for (long i = 0; i < n; ++i)
            to[i] = x[i] * scale * w[i];
        return;
    }
    const auto mean = static_cast<float>(sum(x, n, [](const Chunk& v) { return v; }) / count);
    for (long i = 0; i < n; ++i)
        to[i] = x[i] - mean;
    const auto scale = static_cast<float>(1 / std::sqrt(squares(to, n) / count + epsilon));
    for (long i = 0; i < n; ++i)
        to[i] = to[i] * scale * w[i] + norm.bias[i];
}

Chunk activated(Activation activation, const Chunk& x)
{
    if (activation == Activation::Silu)
        return x / (1 + (-x).exp());
    const auto root = static_cast<float>(std::sqrt(2 / std::numbers::pi));
    return 0.5F * x * (1 + (root * x * (1 + 0.044715F * x * x)).tanh());
}

} // namespace

void normalise(const ConstRows& x, const Norm& norm, double epsilon, Rows to, Progress& progress)
{
    const long size = norm.weight.size();
    assert(x.cols() % size == 0);
    forRows(x.rows(), progress, [&](long first, long count) {
        for (long row = first; row < first + count; ++row)
            for (long at = 0; at < x.cols(); at += size)
                normaliseRow(x.row(row).data() + at, norm, epsilon, to.row(row).data() + at);
    });
}

Linear linear(const LinearTensors& tensors, Progress& progress)
{
    Linear linear = linearOnUse(tensors);
    linear.weights = packed(tensors.weight, progress);
    return linear;
}

Linear linearOnUse(const LinearTensors& tensors)
{
    Linear linear {tensors, {}, {}};
    if (tensors.bias) {
        linear.bias.resize(tensors.bias->cols());
        decodeRows(*tensors.bias, 0, 1, linear.bias.data());
    }
    return linear;
}

Matrix apply(const Linear& linear, const ConstRows& x, const Run& run, long matrix)
{
    const Tensor& tensor = linear.tensors.weight;
    if (run.observer.input)
        run.observer.input(tensor, matrix, x);
    Matrix y;
    if (linear.weights.rows() > 0)
        multiply(x, linear.weights, y, run.progress);
    else
        multiply(x, tensor, matrix, y, run.progress);
    if (linear.bias.size() > 0)
        forRows(y.rows(), run.progress,
                [&](long first, long count) { y.middleRows(first, count).rowwise() += linear.bias; });
    if (run.observer.output)
        run.observer.output(tensor, matrix, y);
    return y;
}

Turns turns(const Rotation& rotation, long positions, Progress& progress)
{
    const std::vector<double>& frequencies = rotation.forSequence(positions);
    const auto pairs = static_cast<long>(frequencies.size());
    Turns turns {Matrix(positions, pairs), Matrix(positions, pairs), rotation.halves};
    forRows(positions, progress, [&](long first, long count) {
        for (long t = first; t < first + count; ++t)
            for (long i = 0; i < pairs; ++i) {
                const double angle = static_cast<double>(t) * frequencies[static_cast<std::size_t>(i)];
                turns.cosines(t, i) = static_cast<float>(std::cos(angle) * rotation.magnitude);
                turns.sines(t, i) = static_cast<float>(std::sin(angle) * rotation.magnitude);
            }
    });
    return turns;
}

void rotate(Rows x, long headSize, const Turns& turns, long sequence, Progress& progress)
{
    const long pairs = turns.cosines.cols();
    const long step = turns.halves ? 1 : 2, apart = turns.halves ? pairs : 1;
    forRows(x.rows(), progress, [&](long first, long count) {
        for (long row = first; row < first + count; ++row) {
            const float* cosines = turns.cosines.row(row % sequence).data();
            const float* sines = turns.sines.row(row % sequence).data();
            for (float *head = x.row(row).data(), *end = head + x.cols(); head < end; head += headSize)
                for (long i = 0; i < pairs; ++i) {
                    const float a = head[i * step], b = head[i * step + apart];
                    head[i * step] = a * cosines[i] - b * sines[i];
                    head[i * step + apart] = b * cosines[i] + a * sines[i];
                }
        }
    });
}

void gate(Activation activation, Rows gate, const ConstRows& up, Progress& progress)
{
    forRows(gate.rows(), progress, [&](long first, long count) {
        for (long row = first; row < first + count; ++row)
            change(gate.row(row).data(), up.row(row).data(), gate.cols(),
                   [&](const Chunk& x, const Chunk& y) { return Chunk(activated(activation, x) * y); });
    });
}

void activate(Activation activation, Rows x, Progress& progress)
{
    forRows(x.rows(), progress, [&](long first, long count) {
        for (long row = first; row < first + count; ++row)
            change(x.row(row).data(), x.row(row).data(), x.cols(),
                   [&](const Chunk& v, const Chunk&) { return activated(activation, v); });
    });
}

void add(Rows to, const ConstRows& x, Progress& progress)
{
    forRows(to.rows(), progress,
            [&](long first, long count) { to.middleRows(first, count) += x.middleRows(first, count); });
}

void cap(Rows x, double cap, Progress& progress)
{
    const auto c = static_cast<float>(cap);
    forRows(x.rows(), progress, [&](long first, long count) {
        for (long row = first; row < first + count; ++row)
            change(x.row(row).data(), x.row(row).data(), x.cols(),
                   [c](const Chunk& v, const Chunk&) { return Chunk((v / c).tanh() * c); });
    });
}

Routes routes(const ConstRows& logits, long used, bool normalised)
{
    Routes routes {{logits.rows(), used}, {logits.rows(), used}};
    std::vector<int> order(static_cast<std::size_t>(logits.cols()));
    for (long t = 0; t < logits.rows(); ++t) {
        std::iota(order.begin(), order.end(), 0);
        const auto rank = [&](int i) { return std::isnan(logits(t, i)) ? -INFINITY : logits(t, i); };
        std::partial_sort(order.begin(), order.begin() + used, order.end(),
                          [&](int a, int b) { return rank(a) > rank(b) || (rank(a) == rank(b) && a < b); });
        const float largest = logits(t, order.front());
        double all = 0, chosen = 0;
        for (long i = 0; i < logits.cols(); ++i) {
            const int expert = order[static_cast<std::size_t>(i)];
            const double share = std::exp(static_cast<double>(logits(t, expert) - largest));
            all += share;
            if (i >= used)
                continue;
            chosen += share;
            routes.experts(t, i) = expert;
            routes.weights(t, i) = static_cast<float>(share);
        }
        routes.weights.row(t) /= static_cast<float>(normalised ? chosen : all);
    }
    return routes;
}

} // namespace quern::nn
