#include "core/error.h"
#include "core/gguf.h"
#include "core/mappedfile.h"
#include "core/rewriting.h"
#include "core/slab.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

constexpr double kWritten = 0.98; // share of the progress; the rest is syncing and checking

// Replacing one of several files would leave a model that cannot be opened.
void refusePart(const Model& model, const std::filesystem::path& target)
{
    const auto isTarget = [&](const auto& storage) {
        const auto* file = dynamic_cast<const MappedFile*>(storage.get());
        std::error_code ignored;
        return file && std::filesystem::equivalent(file->path(), target, ignored);
    };
    if (model.storage.size() > 1 && std::ranges::any_of(model.storage, isTarget))
        fail(QUERN_TEXT("core", "%1 is one of several files of the opened model. Choose another name."),
             target.string());
}

// Every tensor's bytes to their places.
void fill(const Work& work, std::span<const std::uint64_t> offsets, PendingFile& file, Progress& progress)
{
    std::uint64_t weights = 0;
    const auto all = static_cast<double>(std::max<std::uint64_t>(work.model.parameters(), 1));
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        const auto before = static_cast<double>(weights);
        weights += static_cast<std::uint64_t>(work.model.tensors[i].count());
        ProgressPart part(progress, before / all, static_cast<double>(weights) / all);
        const auto sink
            = [&](std::uint64_t at, std::span<const std::byte> bytes) { file.write(offsets[i] + at, bytes); };
        const TensorResult result = quantizedTensor(work, i, sink, part);
        if (work.options.done)
            work.options.done(result);
    }
    work.model.check();
}

} // namespace

void exportModel(const Model& model, const Plan& plan, const Calibration* calibration,
                 const std::filesystem::path& target, const ExportOptions& options, Progress& progress)
{
    assert(plan.tensors.size() == model.tensors.size());
    if (model.obstacle)
        throw Error(*model.obstacle);
    if (plan.tooCoarse && !options.coarse)
        throw Error(*plan.tooCoarse);
    refuseOwnFile(model, target, options.overwrite);
    refusePart(model, target);
    const std::vector<gguf::TensorInfo> infos = tensorInfos(model, plan);
    const gguf::Layout layout = gguf::layout(plan.metadata, infos);
    PendingFile file(target, layout.fileBytes, options.overwrite);
    file.write(0, layout.header);

    Curvatures curvatures, ofHeldOut;
    const double rewriting = rewritingShare(plan) * kWritten;
    ProgressPart first(progress, 0, rewriting), rest(progress, rewriting, kWritten);
    if (plan.rewrites.empty()) {
        fill({model, plan, calibration, options, true, curvatures, ofHeldOut}, layout.offsets, file, rest);
    } else {
        QuantizeOptions beside = options;
        if (beside.workspace.empty())
            beside.workspace = std::filesystem::absolute(target).parent_path();
        const Rewritten made = rewritten(model, plan, calibration, beside, first);
        const QuantizeOptions after = made.rest(options);
        fill({made.model, made.plan, &made.calibration, after, true, curvatures, ofHeldOut}, layout.offsets, file,
             rest);
    }
    progress.report(kWritten, target.filename().string());
    progress.check();
    checkWritten(file, plan.metadata, infos);
    file.commit();
    progress.report(1, target.filename().string());
}

} // namespace quern
