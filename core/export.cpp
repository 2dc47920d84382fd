#include "core/encoded.h"
#include "core/error.h"
#include "core/gguf.h"
#include "core/mappedfile.h"
#include "core/rewriting.h"
#include "core/store.h"

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
    const auto mapped = work.plan.sequential ? MappedFile::open(file.partPath()) : nullptr;
    const auto write = [&](std::size_t i, std::uint64_t at, std::span<const std::byte> bytes) {
        file.write(offsets[i] + at, bytes);
    };
    const auto stored = [&](std::size_t i) {
        return encodedIn(mapped->bytes(), encodedAt(work.model.tensors[i], *work.plan.tensors[i].stored, offsets[i]));
    };
    quantizeInto(work, {write, stored, mapped}, progress);
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
    QuantizeOptions beside = options;
    if (beside.workspace.empty())
        beside.workspace = std::filesystem::absolute(target).parent_path();
    if (plan.rewrites.empty()) {
        fill({model, plan, calibration, beside, true, curvatures, ofHeldOut}, layout.offsets, file, rest);
    } else {
        const Rewritten made = rewritten(model, plan, calibration, beside, first);
        const QuantizeOptions after = made.rest(beside);
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
