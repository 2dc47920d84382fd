#include "core/floats.h"
#include "core/forward.h"
#include "core/nn.h"

#include <algorithm>

namespace quern {
namespace {

// Bytes that runBlock works on at once, if a sequence needs no more: enough to keep all cores busy, little enough for
// freed blocks to be used again. Experts are decoded for every part, so that each should meet many tokens.
constexpr std::uint64_t kActivations = 32 << 20, kActivationsOfExperts = 256 << 20;

// The floats of a token that are there together while it is fed forward: what attention gave, the input, and the
// products up to the output.
long fedFloats(const Network& network)
{
    const Sizes& s = network.sizes;
    const Computation& family = network.architecture->computation;
    const auto products = [&](long hidden, bool fused) {
        if (fused)
            return 3 * hidden + s.width;
        return family.gated ? std::max(2 * hidden, hidden + s.width) : hidden + s.width;
    };
    long most = s.feedForward > 0 ? products(s.feedForward, family.fusedGate) : 0;
    if (s.experts > 0) {
        // Beside the routes, the sum over the experts and, of a token sent to one, its input, number and share.
        const long routes = 2 * s.expertsUsed, sent = s.width + 3;
        most = std::max({most, s.experts + routes,
                         routes + s.width + sent + products(s.expertFeedForward, family.fusedGate),
                         routes + s.width + 1 + products(s.sharedFeedForward, family.fusedGate)});
    }
    return 2 * s.width + most;
}

// What a sequence takes within a block, at most, besides its hidden states.
std::uint64_t activationBytes(const Network& network, long sequence)
{
    const Sizes& s = network.sizes;
    const long heads = s.heads * (s.headSize + s.valueSize) + s.kvHeads * (s.headSize + s.valueSize);
    const std::uint64_t packed = static_cast<std::uint64_t>(s.kvHeads)
        * (PackedMatrix::bytes(sequence, s.headSize) + PackedMatrix::bytes(s.valueSize, sequence));
    const std::uint64_t attention
        = bytesOfFloats(sequence * (s.width + heads)) + std::max(packed, bytesOfFloats(sequence * s.width));
    return std::max(attention, bytesOfFloats(sequence * fedFloats(network)));
}

// The longest row of a weight in a block.
long longestRow(const Sizes& s)
{
    return std::max({s.width, s.heads * s.valueSize, s.feedForward, s.expertFeedForward, s.sharedFeedForward});
}

} // namespace

std::uint64_t withReserve(std::uint64_t allocated)
{
    constexpr std::uint64_t kKept = 32 << 20, kProgram = 6 << 20;
    return allocated + std::min(allocated * 6 / 10, kKept) + kProgram;
}

std::uint64_t networkBytes(const Network& network)
{
    return network.blocks.size() * 2 * sizeof(BlockTensors); // names included
}

std::uint64_t decodedBytes(const Network& network)
{
    std::uint64_t most = 0;
    const auto bytes
        = [](const LinearTensors& part) { return PackedMatrix::bytes(part.weight.rows(), part.weight.cols()); };
    for (const BlockTensors& block : network.blocks) {
        std::uint64_t sum = bytes(block.output);
        for (const auto* part :
             {&block.query, &block.key, &block.value, &block.fusedHeads, &block.gate, &block.up, &block.down,
              &block.router, &block.sharedRouter, &block.sharedGate, &block.sharedUp, &block.sharedDown})
            sum += *part ? bytes(**part) : 0;
        most = std::max(most, sum);
    }
    // Norms and biases of a block are fewer than eight such rows.
    return most + packingBytes(longestRow(network.sizes)) + bytesOfFloats(8 * longestRow(network.sizes));
}

long sequencesAtOnce(const Network& network, long sequence)
{
    const std::uint64_t bytes = network.sizes.experts > 0 ? kActivationsOfExperts : kActivations;
    return static_cast<long>(std::max<std::uint64_t>(1, bytes / activationBytes(network, sequence)));
}

std::uint64_t workingBytes(const Network& network, long sequence, long sequences)
{
    const Sizes& s = network.sizes;
    const long together = std::min(sequences, sequencesAtOnce(network, sequence));
    const std::uint64_t turns
        = 2 * network.attention.rotation.frequencies.size() * static_cast<std::uint64_t>(sequence);
    const long keys = sequence + 2 * PackedMatrix::panelRows(); // in whole panels at both ends
    const std::uint64_t attending
        = static_cast<std::uint64_t>(threads()) * bytesOfFloats(nn::kQueries * (keys + s.headSize));
    const std::uint64_t multiplying = multiplyingBytes(sequence * together, longestRow(s), s.experts > 0);
    return static_cast<std::uint64_t>(together) * activationBytes(network, sequence) + turns * sizeof(float)
        + std::max(attending, multiplying);
}

std::uint64_t logitsBytes(const Network& network, long rows)
{
    const Sizes& s = network.sizes;
    return bytesOfFloats(rows * (s.width + s.vocabulary)) + multiplyingBytes(rows, s.width, true);
}

} // namespace quern
