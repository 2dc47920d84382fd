#pragma once

#include "core/architecture.h"
#include "core/forward.h"
#include "core/multiply.h"

// The building blocks of a transformer. Rows are tokens, columns are features. All work on all cores; what becomes of a
// token does not depend on those beside it, to the bit.
namespace quern::nn {

using Vector = Eigen::Matrix<float, 1, Eigen::Dynamic>;
using Rows = Eigen::Ref<Matrix>;
using ConstRows = Eigen::Ref<const Matrix>;

// Runs body(first, count) for parts of n rows.
template <typename Body>
void forRows(long n, Progress& progress, Body&& body)
{
    constexpr long kRows = 16;
    parallelFor((n + kRows - 1) / kRows, progress, [&](long i) { body(i * kRows, std::min(kRows, n - i * kRows)); });
}

struct Norm {
    Vector weight, bias; // bias empty: root mean square, else mean and deviation
};
// Every row of x, or every part of it as long as the weights: a head. to: as many rows and columns; may be x.
void normalise(const ConstRows& x, const Norm& norm, double epsilon, Rows to, Progress& progress);

// A matrix with what is added to its products, and the tensor it comes from.
struct Linear {
    LinearTensors tensors;
    PackedMatrix weights; // empty: decoded at every use, as experts are
    Vector bias;          // empty: none
};
Linear linear(const LinearTensors& tensors, Progress& progress); // decoded
Linear linearOnUse(const LinearTensors& tensors);

struct Run {
    const Observer& observer;
    Progress& progress;
};
// x W^T + b; matrix: the expert.
Matrix apply(const Linear& linear, const ConstRows& x, const Run& run, long matrix = 0);

// Cosines and sines of a rotation for positions from 0.
struct Turns {
    Matrix cosines, sines; // positions x pairs; empty: nothing turns
    bool halves;
};
Turns turns(const Rotation& rotation, long positions, Progress& progress);
// Turns every head of x in place; row i is position i % sequence.
void rotate(Rows x, long headSize, const Turns& turns, long sequence, Progress& progress);

struct Heads {
    ConstRows query, key, value; // tokens x heads * headSize, kvHeads * headSize, kvHeads * valueSize
};
constexpr long kQueries = 48; // worked on together by a thread, against all keys that they see
// Causal, grouped; of sequences side by side. Returns tokens x heads * valueSize.
Matrix attend(const Heads& heads, const Sizes& sizes, const Attention& attention, long window, long sequence,
              Progress& progress);

// activation(gate) * up, into gate.
void gate(Activation activation, Rows gate, const ConstRows& up, Progress& progress);
void activate(Activation activation, Rows x, Progress& progress);
void add(Rows to, const ConstRows& x, Progress& progress);

// cap * tanh(x / cap), in place.
void cap(Rows x, double cap, Progress& progress);

// The experts of every token: tokens x used.
struct Routes {
    Eigen::Matrix<int, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> experts;
    Matrix weights;
};
// logits: tokens x experts. The most probable ones, the first of equal ones.
Routes routes(const ConstRows& logits, long used, bool normalised);

} // namespace quern::nn
