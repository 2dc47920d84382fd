#include "core/calibrationfile.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace quern {
namespace {

using namespace calibrationfile;

constexpr std::size_t kSlab = 4 << 20; // bytes written at once

// A tensor to be written, and where its values are.
struct Part {
    gguf::TensorInfo info;
    std::vector<std::byte> bytes;                            // if it is small
    std::vector<std::shared_ptr<const Hessian>> hessians {}; // else
};

template <typename T>
std::vector<std::byte> bytesOf(const std::vector<T>& values)
{
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

class Parts {
public:
    void add(const std::string& weight, const InputStats& stats)
    {
        const long experts = stats.sumSquares.rows();
        add(weight, kSums, stats.sumSquares.cast<float>());
        std::vector<float> counts(stats.counts.begin(), stats.counts.end());
        add(weight, kCounts, Eigen::Map<const Matrix>(counts.data(), experts, 1));
        if (stats.sumMagnitudes.size() > 0)
            add(weight, kMagnitudes, stats.sumMagnitudes.cast<float>());
        if (stats.maxMagnitudes.size() > 0)
            add(weight, kLargest, stats.maxMagnitudes);
        add(weight, kInputs, stats.inputs);
        add(weight, kOutputs, stats.outputs);
        addHessians(weight, stats.hessians, stats.sumSquares.cols());
    }

    std::vector<gguf::TensorInfo> infos() const
    {
        std::vector<gguf::TensorInfo> infos;
        for (const Part& part : m_parts)
            infos.push_back(part.info);
        return infos;
    }
    const std::vector<Part>& all() const { return m_parts; }

    std::vector<std::string> sharing, shared; // weights without an H of their own, and whose they have

private:
    void add(const std::string& weight, std::string_view suffix, const Matrix& values)
    {
        std::vector<float> floats(values.data(), values.data() + values.size());
        m_parts.push_back(
            {{weight + std::string(suffix), {values.rows(), values.cols()}, findBlockFormat("F32")}, bytesOf(floats)});
    }

    void add(const std::string& weight, std::string_view suffix, const LogHistogram& histogram)
    {
        if (!histogram.counts.empty())
            m_parts.push_back({{weight + std::string(suffix), {LogHistogram::kBins}, findBlockFormat("I64")},
                               bytesOf(histogram.counts)});
    }

    void addHessians(const std::string& weight, const std::vector<std::shared_ptr<const Hessian>>& hessians, long size)
    {
        const auto isThere = std::ranges::find_if(hessians, [](const auto& h) { return h != nullptr; });
        if (isThere == hessians.end())
            return;
        if (const auto [first, isNew] = m_first.try_emplace(isThere->get(), weight); !isNew) {
            sharing.push_back(weight);
            shared.push_back(first->second);
            return;
        }
        const auto experts = static_cast<long>(hessians.size());
        m_parts.push_back(
            {{weight + std::string(kHessian), {experts, Hessian::values(size)}, findBlockFormat("F32")}, {}, hessians});
    }

    std::vector<Part> m_parts;
    std::map<const Hessian*, std::string> m_first; // weights that an H was met with first
};

Metadata metadataOf(const Calibration& calibration, const Parts& parts)
{
    Metadata metadata;
    metadata.set("general.type", std::string("imatrix"));
    metadata.set("imatrix.datasets", MetaArray(calibration.datasets));
    metadata.set("imatrix.chunk_count", static_cast<std::uint32_t>(calibration.chunks));
    metadata.set("imatrix.chunk_size", static_cast<std::uint32_t>(calibration.context));
    metadata.set(kVersionKey, kVersion);
    metadata.set("quern.version", std::string(QUERN_VERSION));
    if (!calibration.sourceHash.empty())
        metadata.set(kSourceKey, calibration.sourceHash);
    if (!parts.sharing.empty()) {
        metadata.set(kSharingKey, MetaArray(parts.sharing));
        metadata.set(kSharedKey, MetaArray(parts.shared));
    }
    return metadata;
}

// By way of memory: H may lie in a mapped file.
void write(PendingFile& file, std::uint64_t offset, const Hessian& h, Progress& progress)
{
    std::vector<std::byte> slab;
    assert(!h.scale);
    for (std::span<const std::byte> rest = std::as_bytes(h.lower); !rest.empty(); rest = rest.subspan(slab.size())) {
        progress.check();
        const auto next = rest.first(std::min(kSlab, rest.size()));
        slab.assign(next.begin(), next.end());
        h.owner->check();
        file.write(offset, slab);
        offset += slab.size();
    }
}

} // namespace

void writeCalibration(const Calibration& calibration, const std::filesystem::path& path, bool overwrite,
                      Progress& progress)
{
    Parts parts;
    for (const auto& [weight, stats] : calibration.inputs)
        parts.add(weight, stats);
    const gguf::Layout layout = gguf::layout(metadataOf(calibration, parts), parts.infos());
    PendingFile file(path, layout.fileBytes, overwrite);
    file.write(0, layout.header);
    for (std::size_t i = 0; i < parts.all().size(); ++i) {
        const Part& part = parts.all()[i];
        progress.report(static_cast<double>(layout.offsets[i]) / static_cast<double>(layout.fileBytes), part.info.name);
        file.write(layout.offsets[i], part.bytes);
        for (std::size_t expert = 0; expert < part.hessians.size(); ++expert)
            if (const auto& h = part.hessians[expert]) // what is not written reads as zeros
                write(file, layout.offsets[i] + expert * h->lower.size_bytes(), *h, progress);
    }
    const Calibration written = readImatrix(file.partPath());
    if (written.inputs.size() != calibration.inputs.size())
        fail(QUERN_TEXT("core", "%1 does not hold what was written to it. The disk may be failing."),
             file.partPath().string());
    progress.check();
    file.commit();
}

} // namespace quern
