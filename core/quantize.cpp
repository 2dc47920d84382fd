#include "core/rewriting.h"
#include "core/scratchfile.h"
#include "core/slab.h"

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
    std::vector<std::size_t> made;
    std::uint64_t offset = 0, weights = 0;
    const auto all = static_cast<double>(model.parameters());
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const auto before = static_cast<double>(weights);
        weights += static_cast<std::uint64_t>(model.tensors[i].count());
        if (!plan.tensors[i].choice.quantizer)
            continue;
        ProgressPart part(progress, before / all, static_cast<double>(weights) / all);
        const auto sink
            = [&](std::uint64_t at, std::span<const std::byte> bytes) { scratch.write(offset + at, bytes); };
        const TensorResult tensor = quantizedTensor(work, i, sink, part);
        Tensor& stored = result.tensors[i];
        stored.format = plan.tensors[i].choice.format;
        stored.headRows = 0;
        stored.factors = nullptr;
        stored.offset = offset;
        made.push_back(i);
        offset += static_cast<std::uint64_t>(stored.rows()) * stored.rowBytes();
        offset = (offset + kAlignment - 1) / kAlignment * kAlignment;
        if (options.done)
            options.done(tensor);
    }
    if (offset == 0)
        return result;
    scratch.write(offset, std::vector<std::byte>(1)); // so that all of the last tensor's padding is there
    const std::shared_ptr<const MappedFile> file = scratch.mapped();
    for (const std::size_t i : made) {
        Tensor& stored = result.tensors[i];
        stored.bytes
            = file->bytes().subspan(stored.offset, static_cast<std::size_t>(stored.rows()) * stored.rowBytes());
    }
    result.storage.push_back(file);
    return result;
}

} // namespace quern
