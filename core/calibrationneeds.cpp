#include "core/calibrating.h"
#include "core/collector.h"
#include "core/coverage.h"
#include "core/embeddingreaders.h"
#include "core/error.h"
#include "core/floats.h"

#include <set>

namespace quern {
namespace {

using namespace calibrating;

constexpr long kTokensPerColumn = 16; // below, methods that use H visibly fit the text: measured at 1.5, 4 and 16

std::string fewTokens(const std::string& weight, long cols, double tokens)
{
    return sentence(QUERN_TEXT("core",
                               "H of %1 has %2 columns and comes of %3 tokens; %4 are advisable, %5 for each column. "
                               "With fewer, methods that use H fit this text rather than the model."),
                    weight, cols, static_cast<long>(tokens), kTokensPerColumn * cols, kTokensPerColumn);
}

} // namespace

CalibrationNeeds calibrationNeeds(const Model& model, const Chunks& chunks, const CalibrateOptions& options)
{
    const Network network = openNetwork(model);
    const Sizes& sizes = network.sizes;
    CalibrationNeeds needs;
    const long batch = batchOf(chunks);
    const std::uint64_t running = networkBytes(network) + decodedBytes(network)
        + workingBytes(network, chunks.context, batch) + bytesOfFloats(batch * chunks.context * sizes.width);
    std::uint64_t results = 0, hessians = 0, block = 0;
    for (const BlockTensors& tensors : network.blocks) {
        results += Collector::resultBytes(tensors);
        hessians += options.hessians ? Collector::hessianBytes(tensors) : 0;
        // What is finished is written from a copy and read again.
        block = std::max({block, running + Collector::bytes(tensors, options.hessians),
                          Collector::finishingBytes(tensors, options.hessians), 3 * Collector::resultBytes(tensors)});
    }
    if (options.hessians && hasReaders(network)) { // which needs less memory than the first block
        results += InputSums::resultBytes(1, sizes.width);
        hessians += bytesOfFloats(Hessian::values(sizes.width));
    }
    if (options.processOutput) {
        const long tokens = std::min(kHeadTokens, batch * chunks.context);
        results += InputSums::resultBytes(1, sizes.width);
        block = std::max(block,
                         logitsBytes(network, tokens) + bytesOfFloats(tokens * sizes.width)
                             + InputSums::bytes(1, sizes.width, options.hessians) + OutputCounts::bytes());
    }
    needs.memory = withReserve(results + std::max(block, 2 * results)); // the same holds of all blocks together
    const std::uint64_t hidden = bytesOfFloats(chunks.count() * chunks.context * sizes.width);
    needs.disk = options.checkpoint.empty() ? hidden + hessians : 2 * hidden + hessians + results;
    return needs;
}

std::vector<std::string> shortcomings(const Calibration& calibration)
{
    std::vector<std::string> sentences;
    const std::string* worst = nullptr; // of those without experts
    double least = kTokensPerColumn;
    Coverage experts;
    for (const auto& [name, stats] : calibration.inputs) {
        if (stats.counts.size() > 1)
            experts.add(name, stats);
        const double perColumn = stats.counts.front() / static_cast<double>(stats.sumSquares.cols());
        if (stats.counts.size() > 1 || stats.hessians.empty() || perColumn >= least)
            continue;
        least = perColumn;
        worst = &name;
    }
    if (worst) {
        const InputStats& stats = *calibration.find(*worst);
        sentences.push_back(fewTokens(*worst, stats.sumSquares.cols(), stats.counts.front()));
    }
    std::ranges::copy(experts.sentences(), std::back_inserter(sentences));
    return sentences;
}

} // namespace quern
