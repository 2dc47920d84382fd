#include "core/gguf.h"
#include "core/mappedfile.h"
#include "core/parallel.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace quern {
namespace {

constexpr std::size_t kSlab = 4 << 20; // bytes written at once

[[noreturn]] void failTooLarge(const Tensor& tensor, float value, const BlockFormat& stored)
{
    fail(QUERN_TEXT("core", "Tensor %1 holds %2, which is beyond what %3 can hold; GGUF has no other type for %4."),
         tensor.name, static_cast<double>(value), stored.name, tensor.format->name);
}

// A row of the tensor as the file stores it.
void storeRow(const Tensor& tensor, long row, std::byte* out)
{
    const BlockFormat& format = *tensor.format;
    const BlockFormat& stored = storedAs(format, tensor.cols());
    const std::byte* blocks = tensor.row(row);
    if (&stored == &format) {
        std::memcpy(out, blocks, tensor.rowBytes());
    } else if (format.carry && &stored == format.carrier) {
        format.carry(format, blocks, tensor.cols(), out);
    } else {
        std::vector<float> x(static_cast<std::size_t>(tensor.cols())), back(x.size());
        format.decode(format, blocks, x);
        stored.encode(stored, x, {}, out);
        stored.decode(stored, out, back);
        for (std::size_t i = 0; i < x.size(); ++i)
            if (std::isfinite(x[i]) && !std::isfinite(back[i]))
                failTooLarge(tensor, x[i], stored);
    }
}

class TensorWriter {
public:
    TensorWriter(const Model& model, PendingFile& file, Progress& progress)
        : m_model(model)
        , m_file(file)
        , m_progress(progress)
        , m_all(std::max<std::uint64_t>(model.bytes(), 1))
    {
    }

    void write(const Tensor& tensor, std::uint64_t offset)
    {
        const std::size_t rowBytes = storedAs(*tensor.format, tensor.cols()).rowBytes(tensor.cols());
        const long rows = tensor.count() > 0 ? tensor.rows() : 0;
        const long slabRows = std::max(1L, static_cast<long>(kSlab / std::max<std::size_t>(rowBytes, 1)));
        for (long first = 0; first < rows; first += slabRows) {
            m_progress.report(static_cast<double>(m_done) / static_cast<double>(m_all), tensor.name);
            const long n = std::min(slabRows, rows - first);
            m_slab.resize(static_cast<std::size_t>(n) * rowBytes);
            parallelFor(n, m_progress, [&](long i) {
                storeRow(tensor, first + i, m_slab.data() + static_cast<std::size_t>(i) * rowBytes);
            });
            m_model.check();
            m_file.write(offset, m_slab);
            offset += m_slab.size();
            m_done += static_cast<std::uint64_t>(n) * tensor.rowBytes();
        }
    }

private:
    const Model& m_model;
    PendingFile& m_file;
    Progress& m_progress;
    std::uint64_t m_all, m_done = 0; // bytes of the model
    std::vector<std::byte> m_slab;
};

} // namespace

void refuseOwnFile(const Model& model, const std::filesystem::path& target, bool overwrite)
{
    for (const auto& storage : model.storage) {
        const auto* file = dynamic_cast<const MappedFile*>(storage.get());
        std::error_code ignored;
        if (!overwrite && file && std::filesystem::equivalent(file->path(), target, ignored))
            fail(QUERN_TEXT(
                     "core",
                     "%1 belongs to the opened model. Choose another name, or allow the original to be replaced."),
                 target.string());
    }
}

void checkWritten(const PendingFile& file, const Metadata& metadata, std::span<const gguf::TensorInfo> tensors)
{
    const Model written = openModel(file.partPath());
    const bool same = written.metadata.entries().size() == metadata.entries().size()
        && std::ranges::equal(written.tensors, tensors, [](const Tensor& a, const gguf::TensorInfo& b) {
                          return a.name == b.name && a.shape == b.shape && a.format == b.format;
                      });
    if (!same)
        fail(QUERN_TEXT("core", "%1 does not hold what was written to it. The disk may be failing."),
             file.partPath().string());
}

void writeModel(const Model& model, const std::filesystem::path& path, bool overwrite, Progress& progress)
{
    if (model.obstacle)
        throw Error(*model.obstacle);
    refuseOwnFile(model, path, overwrite);
    std::vector<gguf::TensorInfo> tensors;
    for (const Tensor& tensor : model.tensors)
        tensors.push_back({tensor.name, tensor.shape, &storedAs(*tensor.format, tensor.cols())});
    const gguf::Layout layout = gguf::layout(model.metadata, tensors);
    PendingFile file(path, layout.fileBytes, overwrite);
    file.write(0, layout.header);
    TensorWriter writer(model, file, progress);
    for (std::size_t i = 0; i < model.tensors.size(); ++i)
        writer.write(model.tensors[i], layout.offsets[i]);
    checkWritten(file, model.metadata, tensors);
    progress.check();
    file.commit();
    progress.report(1.0, path.filename().string());
}

} // namespace quern
