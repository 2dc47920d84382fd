#pragma once

#include "core/network.h"
#include "core/progress.h"

#include <functional>
#include <memory>
#include <span>

// The forward pass, block by block: all sequences go through one block before the next one is decoded, so that a run
// needs the hidden states and one decoded block, whatever the model's size. The same bits for any number of threads.
namespace quern {

// What the caller sees of the inputs and outputs of weight matrices, as they happen. Either may be empty.
// Both are called by the thread that called runBlock or logits, one call at a time; x and y are valid during the call.
// A call may bring a part of the tokens; the calls for one matrix come in the order of tokens.
// Each token is seen once by every matrix that it goes through: of experts, by those that it was sent to.
struct Observer {
    // x: tokens x in features, just before `weight` is used; matrix: the expert, 0 of others.
    // Weights that share their input (query, key, value; gate, up) get the same x, in calls that follow each other.
    std::function<void(const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x)> input;
    // y: tokens x out features, bias included.
    std::function<void(const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& y)> output;
};

struct DecodedBlock;

// One block's weights as F32, the only big memory of a run besides the hidden states. Experts are not among them: they
// are decoded when tokens are sent to them. Movable.
class BlockWeights {
public:
    explicit BlockWeights(std::unique_ptr<const DecodedBlock> weights);
    BlockWeights(BlockWeights&&) noexcept;
    BlockWeights& operator=(BlockWeights&&) noexcept;
    ~BlockWeights();

    const DecodedBlock& operator*() const { return *m_weights; }

private:
    std::unique_ptr<const DecodedBlock> m_weights;
};

// Bytes that are allocated at most: by openNetwork; by decodedBlock, for any block; by runBlock besides, for so many
// sequences; by logits, for so many rows, those of its result included.
std::uint64_t networkBytes(const Network& network);
std::uint64_t decodedBytes(const Network& network);
std::uint64_t workingBytes(const Network& network, long sequence, long sequences);
std::uint64_t logitsBytes(const Network& network, long rows);
long sequencesAtOnce(const Network& network, long sequence); // that runBlock works on, at most
// Private memory of a program that has so much allocated at once: with the program itself, and with what the C library
// keeps of freed blocks for later ones, which it does with blocks of up to 32 MiB (0.6 of the rest at most, measured on
// models of 1 to 7 million weights).
std::uint64_t withReserve(std::uint64_t allocated);

// tokens x width. tokens: sequences of `sequence` tokens side by side, each from position 0.
// Throws Error for tokens outside the vocabulary and sequences that are longer than learned positions.
Matrix embed(const Network& network, std::span<const int> tokens, long sequence);

BlockWeights decodedBlock(const Network& network, long block, Progress& progress);

// hidden: (n * sequence) x width, n sequences side by side; replaced by the block's output.
void runBlock(const Network& network, const BlockWeights& weights, Matrix& hidden, long sequence,
              const Observer& observer, Progress& progress);

// tokens x width: the final norm's result, which the output matrix is multiplied by.
Matrix outputInputs(const Network& network, const Eigen::Ref<const Matrix>& hidden, Progress& progress);

// tokens x vocabulary: final norm, head and soft cap. Decodes the head by slabs in every call, so bring some hundred
// tokens at once.
Matrix logits(const Network& network, const Eigen::Ref<const Matrix>& hidden, const Observer& observer,
              Progress& progress);

} // namespace quern
