#include "core/encoded.h"
#include "core/rewriting.h"
#include "core/scratchfile.h"
#include "core/store.h"

#include <cassert>

namespace quern {
namespace {

constexpr std::uint64_t kAlignment = 64;

} // namespace

Model quantize(const Model& model, const Plan& plan, const Calibration* calibration, const QuantizeOptions& options,
               Progress& progress)
{
    assert(plan.tensors.size() == model.tensors.size());
    if (!plan.rewrites.empty()) {
        ProgressPart rewriting(progress, 0, rewritingShare(plan)), rest(progress, rewritingShare(plan), 1);
        const Rewritten made = rewritten(model, plan, calibration, options, rewriting);
        return quantize(made.model, made.plan, &made.calibration, made.rest(options), rest);
    }
    const ScratchFile scratch = ScratchFile::unnamed(options.workspace);
    Curvatures curvatures, ofHeldOut;
    const Work work {model, plan, calibration, options, false, curvatures, ofHeldOut};
    Model result = model; // copies views, not weights
    result.metadata = plan.metadata;
    result.path.clear();
    result.container = nullptr;
    result.fileBytes = 0;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < model.tensors.size(); ++i)
        if (isStored(work, i)) {
            Tensor& stored = result.tensors[i];
            stored = encodedAt(stored, *plan.tensors[i].choice.format, bytes);
            bytes += encodedBytes(stored);
            bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
        }
    if (bytes == 0)
        return result;
    scratch.write(bytes, std::vector<std::byte>(1)); // so that all of the last tensor's padding is there
    const std::shared_ptr<const MappedFile> file = scratch.mapped();
    for (std::size_t i = 0; i < model.tensors.size(); ++i)
        if (Tensor& stored = result.tensors[i]; isStored(work, i))
            stored = encodedIn(file->bytes(), stored);
    const auto write = [&](std::size_t i, std::uint64_t at, std::span<const std::byte> from) {
        scratch.write(result.tensors[i].offset + at, from);
    };
    quantizeInto(work, {write, [&](std::size_t i) { return result.tensors[i]; }, file}, progress);
    result.storage.push_back(file);
    return result;
}

} // namespace quern
