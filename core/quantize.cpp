#include "core/quantize.h"

#include "core/error.h"
#include "core/mappedfile.h"
#include "core/slab.h"

#include <cassert>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace quern {
namespace {

constexpr std::uint64_t kAlignment = 64;

// A file without a name: it ends with the program, however that ends.
class Scratch {
public:
    explicit Scratch(std::filesystem::path folder)
        : m_folder(folder.empty() ? std::filesystem::temp_directory_path() : std::move(folder))
        , m_file(open(m_folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600))
    {
        if (m_file < 0)
            fail(QUERN_TEXT("core", "No temporary file can be made in %1: %2."), m_folder.string(),
                 std::string_view(std::strerror(errno)));
    }
    ~Scratch() { close(m_file); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    void write(std::uint64_t offset, std::span<const std::byte> bytes) const
    {
        while (!bytes.empty()) {
            const ssize_t n = pwrite(m_file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                fail(QUERN_TEXT("core", "The temporary file in %1 cannot be written: %2."), m_folder.string(),
                     std::string_view(std::strerror(errno)));
            offset += static_cast<std::uint64_t>(n);
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
    }

    std::shared_ptr<const MappedFile> mapped() const
    {
        return MappedFile::open("/proc/self/fd/" + std::to_string(m_file));
    }

private:
    std::filesystem::path m_folder;
    int m_file;
};

} // namespace

Model quantize(const Model& model, const Plan& plan, const Calibration* calibration, const QuantizeOptions& options,
               Progress& progress)
{
    assert(plan.tensors.size() == model.tensors.size());
    const Scratch scratch(options.workspace);
    const Work work {model, plan, calibration, options, false};
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
