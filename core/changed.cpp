#include "core/changed.h"

#include "core/encoded.h"
#include "core/parallel.h"
#include "core/scratchfile.h"

#include <algorithm>

namespace quern {
namespace {

constexpr long kWeightsAtOnce = 1 << 20;

void write(const Tensor& tensor, const ChangedRows& rows, std::uint64_t offset, const ScratchFile& file,
           Progress& progress)
{
    const long step = std::max(1L, kWeightsAtOnce / std::max(1L, tensor.cols()));
    parallelFor((tensor.rows() + step - 1) / step, progress, [&](long part) {
        const long first = part * step;
        const Matrix x = rows(tensor, first, std::min(step, tensor.rows() - first));
        file.write(offset + static_cast<std::uint64_t>(first * tensor.cols()) * sizeof(float),
                   std::as_bytes(std::span(x.data(), static_cast<std::size_t>(x.size()))));
    });
}

} // namespace

Model changed(const Model& model, const std::function<bool(const Tensor&)>& isChanged, const ChangedRows& rows,
              const std::filesystem::path& workspace, Progress& progress)
{
    const ScratchFile file = ScratchFile::unnamed(workspace);
    const BlockFormat& f32 = *findBlockFormat("F32");
    Model result = model; // copies views, not weights
    std::vector<Tensor*> there;
    std::uint64_t offset = 0;
    for (Tensor& tensor : result.tensors) {
        if (!isChanged(tensor))
            continue;
        progress.report(static_cast<double>(&tensor - result.tensors.data())
                            / static_cast<double>(result.tensors.size()),
                        tensor.name);
        write(tensor, rows, offset, file, progress);
        model.check();
        tensor = encodedAt(tensor, f32, offset);
        there.push_back(&tensor);
        offset += encodedBytes(tensor);
    }
    if (there.empty())
        return result;
    const std::shared_ptr<const MappedFile> mapped = file.mapped();
    for (Tensor* tensor : there)
        *tensor = encodedIn(mapped->bytes(), *tensor);
    result.storage.push_back(mapped);
    return result;
}

} // namespace quern
