#include "core/calibrating.h"
#include "core/collector.h"
#include "core/floats.h"
#include "core/forward.h"
#include "core/parallel.h"
#include "core/sequence.h"

namespace quern {
namespace {

// Squares of the size of H that are there together, at most, while a matrix is quantized: its own moments and feedback,
// each as they were and laid out for walks, and those of (x, d) of twice the size for measuring.
constexpr long kSquares = 12;
constexpr std::uint64_t kThreadBytes = 4 << 20; // that a thread works on

std::uint64_t solvingBytes(long cols)
{
    return bytesOfFloats(kSquares * cols * cols) + 2 * WalkMatrix::bytes(WalkMatrix::kWalk)
        + static_cast<std::uint64_t>(threads()) * kThreadBytes;
}

std::uint64_t weightsOf(const BlockTensors& block)
{
    std::uint64_t all = 0;
    for (const Tensor* weight : Collector::weights(block))
        all += static_cast<std::uint64_t>(weight->count());
    return all;
}

} // namespace

CalibrationNeeds sequenceNeeds(const Model& model, const Chunks& chunks)
{
    const Network network = openNetwork(model);
    const Sizes& sizes = network.sizes;
    const long sequences = std::min(chunks.count(), sequencesAtOnce(network, chunks.context));
    const long tokens = sequences * chunks.context;
    const std::uint64_t models = 2 * networkBytes(network);
    const std::uint64_t running = decodedBytes(network) + workingBytes(network, chunks.context, sequences)
        + bytesOfFloats(tokens * sizes.width);
    CalibrationNeeds needs;
    std::uint64_t most = bytesOfFloats(3 * tokens * sizes.width) + InputSums::bytes(1, 2 * sizes.width, true)
        + bytesOfFloats(Hessian::values(2 * sizes.width)); // of the output matrix
    for (const BlockTensors& block : network.blocks) {
        long cols = sizes.width;
        for (const Tensor* weight : Collector::weights(block))
            cols = std::max(cols, weight->cols());
        const std::uint64_t known
            = Collector::resultBytes(block) + Collector::hessianBytes(block) + Collector::driftedBytes(block);
        most = std::max({most, running + Collector::bytes(block, true) + Collector::driftBytes(block, tokens),
                         Collector::finishingBytes(block, true) + Collector::driftFinishingBytes(block),
                         known + solvingBytes(cols)});
        needs.disk = std::max(needs.disk, weightsOf(block) * sizeof(float)); // the targets
    }
    most = std::max(most, solvingBytes(sizes.width) + bytesOfFloats(Hessian::values(2 * sizes.width)));
    needs.memory = withReserve(models + most);
    needs.disk += 2 * calibrating::hiddenBytes(chunks, sizes.width);
    return needs;
}

} // namespace quern
