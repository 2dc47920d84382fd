#pragma once

#include "core/forward.h"

#include <span>
#include <vector>

// All of the forward pass at once, for tests.
namespace forwardrun {

inline quern::Matrix hidden(const quern::Network& network, std::span<const int> tokens, long sequence,
                            const quern::Observer& observer = {})
{
    quern::NoProgress progress;
    quern::Matrix x = quern::embed(network, tokens, sequence);
    for (long block = 0; block < network.sizes.blocks; ++block)
        quern::runBlock(network, quern::decodedBlock(network, block, progress), x, sequence, observer, progress);
    return x;
}

// tokens x vocabulary, of sequences of `sequence` tokens.
inline quern::Matrix logits(const quern::Network& network, std::span<const int> tokens, long sequence,
                            const quern::Observer& observer = {})
{
    quern::NoProgress progress;
    return quern::logits(network, hidden(network, tokens, sequence, observer), observer, progress);
}

// count tokens that any vocabulary of at least `vocabulary` has.
inline std::vector<int> someTokens(std::size_t count, long vocabulary)
{
    std::vector<int> tokens(count);
    for (std::size_t i = 0; i < count; ++i)
        tokens[i] = static_cast<int>((i * 37 + i * i % 101 + 11) % static_cast<std::size_t>(vocabulary));
    return tokens;
}

} // namespace forwardrun
