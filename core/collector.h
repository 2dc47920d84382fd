#pragma once

#include "core/forward.h"
#include "core/inputsums.h"

#include <map>
#include <memory>

namespace quern {

// Collects the statistics of one block, or of the output matrix, while tokens go through it. Inputs that several
// weights share are summed up once.
class Collector {
public:
    // block: null for the output matrix.
    Collector(const BlockTensors* block, bool hessians);

    // To be handed to the forward pass; refers to this collector.
    Observer observer(Progress& progress);
    // For tokens in the original model, a part at a time, before the same tokens come by observer(): what their inputs
    // lack is collected then, for InputStats::drifted. A part is no more than the forward pass takes at once; all parts
    // come by both, or none by this one.
    Observer original();

    // Of every weight that has been used. Gives the memory of the sums back.
    Calibration finished(Progress& progress);

    static std::vector<const Tensor*> weights(const BlockTensors& block); // whose inputs it collects

    // Bytes that it allocates for a block at most while tokens go through it, and in finished(), those of the result
    // included; those of the result without H; those of H.
    static std::uint64_t bytes(const BlockTensors& block, bool hessians);
    static std::uint64_t finishingBytes(const BlockTensors& block, bool hessians);
    static std::uint64_t resultBytes(const BlockTensors& block);
    static std::uint64_t hessianBytes(const BlockTensors& block);

    // What original() adds: to bytes(), and to finishingBytes(), with parts of so many tokens; to hessianBytes().
    static std::uint64_t driftBytes(const BlockTensors& block, long tokens);
    static std::uint64_t driftFinishingBytes(const BlockTensors& block);
    static std::uint64_t driftedBytes(const BlockTensors& block);

private:
    struct Collected {
        std::string leader; // the weight that the inputs are summed up for; itself, or one that shares them
        std::unique_ptr<InputSums> inputs; // of leaders
        OutputCounts outputs;
        double count = 0;   // of inputs
        Matrix original {}; // inputs of the tokens that come by next; of leaders
    };

    Collected& of(const Tensor& weight);
    void addInputs(const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress);

    bool m_hessians;
    std::map<std::string, std::string, std::less<>> m_leaders; // of weights that share their inputs
    std::map<std::string, Collected, std::less<>> m_collected;
};

} // namespace quern
