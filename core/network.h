#pragma once

#include "core/architecture.h"
#include "core/model.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

// What the forward pass needs of a model, read and checked once. Rows of hidden states are tokens.
namespace quern {

// Of what a block is made; the sizes are those of the tensors, checked.
struct Sizes {
    long blocks = 0, width = 0, vocabulary = 0;
    long context = 0; // tokens that the model was made for; a limit only where positions are learned
    long heads = 0, kvHeads = 0, headSize = 0, valueSize = 0;
    long feedForward = 0; // 0 in models of experts only
    long experts = 0, expertsUsed = 0, expertFeedForward = 0, sharedFeedForward = 0;
};

// How query and key heads turn with the position: pair i by position * frequencies[i].
struct Rotation {
    std::vector<double> frequencies;     // radians per position, one for each pair; empty: nothing turns
    std::vector<double> longFrequencies; // the same for sequences of more than originalContext tokens; empty: the same
    long originalContext = 0;
    double magnitude = 1; // of cosine and sine
    bool halves = true;   // pairs are (i, i + dimensions / 2), else (2 i, 2 i + 1)

    const std::vector<double>& forSequence(long tokens) const
    {
        return longFrequencies.empty() || tokens <= originalContext ? frequencies : longFrequencies;
    }
};

struct Attention {
    double scale = 1;       // of the products of query and key
    double cap = 0;         // soft cap of them; 0: none
    Rotation rotation;      // of blocks that see all
    Rotation localRotation; // of blocks that see a window
    long window = 0;        // tokens that local blocks see, the own included; 0: there are no local blocks
    long period = 1;        // every period-th block sees all
    bool isLocal(long block) const { return window > 0 && (period == 0 || block % period < period - 1); }
};

// A matrix and what is added to its products.
struct LinearTensors {
    Tensor weight;
    std::optional<Tensor> bias;
};

struct NormTensors {
    Tensor weight;
    std::optional<Tensor> bias;
};

// The tensors of one block, as they are stored. What a family or a model does not have is empty.
struct BlockTensors {
    NormTensors attentionNorm, feedForwardNorm;
    std::optional<LinearTensors> query, key, value; // or
    std::optional<LinearTensors> fusedHeads;        // the rows of query, key and value, in this order
    std::optional<NormTensors> queryNorm, keyNorm;
    LinearTensors output;
    std::optional<NormTensors> attentionPostNorm, feedForwardPostNorm;
    std::optional<LinearTensors> gate, up, down; // up holds the rows of the gate before its own where they are fused
    std::optional<LinearTensors> router, expertGate, expertUp, expertDown;       // of experts: a matrix each
    std::optional<LinearTensors> sharedRouter, sharedGate, sharedUp, sharedDown; // the expert of all tokens
};

// A model's hyperparameters and tensors: an immutable value that keeps the bytes alive.
struct Network {
    const Architecture* architecture = nullptr;
    Sizes sizes;
    double epsilon = 0; // of the norms
    double embeddingScale = 1;
    double logitCap = 0; // 0: none
    Attention attention;
    Tensor embedding;
    std::optional<Tensor> positions; // learned: context x width
    std::vector<BlockTensors> blocks;
    NormTensors outputNorm;
    LinearTensors head; // the embedding where they are tied
    std::vector<std::shared_ptr<const Storage>> storage;

    void check() const; // throws Error if bytes have been lost; after reading tensors
};

// Throws Error, naming the key or tensor that is missing or makes no sense, or the family that is not known.
Network openNetwork(const Model& model);

} // namespace quern
