#include "core/store.h"

#include "core/error.h"
#include "core/sequence.h"

#include <algorithm>

namespace quern {

bool isStored(const Work& work, std::size_t index)
{
    return work.carried || work.plan.tensors[index].choice.quantizer;
}

void quantizeInto(const Work& work, std::span<const std::size_t> indices, const Store& store, Progress& progress)
{
    const auto weights = [&](std::size_t i) { return static_cast<double>(work.model.tensors[i].count()); };
    double all = 0, done = 0;
    for (const std::size_t i : indices)
        all += weights(i);
    for (const std::size_t i : indices) {
        const double before = done;
        done += weights(i);
        ProgressPart part(progress, before / std::max(all, 1.0), done / std::max(all, 1.0));
        const auto sink = [&](std::uint64_t at, std::span<const std::byte> bytes) { store.write(i, at, bytes); };
        const TensorResult result = quantizedTensor(work, i, sink, part);
        if (work.options.done)
            work.options.done(result);
    }
    work.model.check();
}

void quantizeInto(const Work& work, const Store& store, Progress& progress)
{
    if (work.plan.sequential)
        return quantizeSequentially(work, store, progress);
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < work.model.tensors.size(); ++i)
        if (isStored(work, i))
            indices.push_back(i);
    quantizeInto(work, indices, store, progress);
}

} // namespace quern
