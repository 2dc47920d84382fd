#pragma once

#include "core/network.h"

#include <map>

namespace quern {

// A place where channels can be scaled without changing what the network computes: a channel of what the producer gives
// is divided by s, and the columns of the consumers that read it are multiplied by s (Lin et al. 2023, AWQ,
// section 3.2; Xiao et al. 2022, SmoothQuant). Where an activation that is not linear lies between the two there is no
// such place.
struct Fold {
    Tensor producer;            // a norm's weight, or a matrix whose rows are the channels
    std::optional<Tensor> bias; // of the producer
    long firstRow = 0;          // of the channels among the producer's rows
    long channels = 0;          // in each matrix
    long matrices = 1;          // experts, each with scales of its own
    // Their columns are the channels; those of all experts read the same ones where matrices is 1.
    std::vector<Tensor> consumers;
    std::vector<long> channelOf; // of a consumer's column; empty: column i reads channel i
};

// Those of one block, in the order of computation:
//     attention norm -> query, key, value           value -> output (a channel serves all heads that share it)
//     feed forward norm -> gate, up, the router and all experts
//     up -> down, of gated feed forward parts, of each expert and of the shared one
std::vector<Fold> foldsOf(const Network& network, long block);

using FactorsByName = std::map<std::string, Factors, std::less<>>;

// Multiplies the factors of the fold's tensors. scales: fold.matrices x fold.channels, all above 0.
void apply(const Fold& fold, const Matrix& scales, FactorsByName& factors);

} // namespace quern
