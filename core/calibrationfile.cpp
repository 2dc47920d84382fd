#include "core/calibrationfile.h"

#include "core/error.h"

#include <cstring>
#include <unordered_map>

namespace quern::calibrationfile {
namespace {

struct Owned final : Storage {
    std::vector<float> values;
};

class ExtrasReader {
public:
    ExtrasReader(const gguf::Directory& directory, const std::shared_ptr<const Storage>& storage,
                 std::string_view source)
        : m_storage(storage)
        , m_source(source)
    {
        for (const Tensor& tensor : directory.tensors)
            m_tensors[tensor.name] = &tensor;
    }

    void read(const std::string& weight, InputStats& stats) const
    {
        const long experts = stats.sumSquares.rows(), cols = stats.sumSquares.cols();
        if (const Tensor* tensor = find(weight, kMagnitudes, "F32", experts, cols))
            stats.sumMagnitudes = matrix(*tensor).cast<double>();
        if (const Tensor* tensor = find(weight, kLargest, "F32", experts, cols))
            stats.maxMagnitudes = matrix(*tensor);
        if (const Tensor* tensor = find(weight, kInputs, "I64", 1, LogHistogram::kBins))
            stats.inputs = histogram(*tensor);
        if (const Tensor* tensor = find(weight, kOutputs, "I64", 1, LogHistogram::kBins))
            stats.outputs = histogram(*tensor);
        readHessians(weight, stats);
    }

private:
    // Null if it is not there; throws Error if it is of other sizes.
    const Tensor* find(const std::string& weight, std::string_view suffix, std::string_view format, long rows,
                       long cols) const
    {
        const auto found = m_tensors.find(weight + std::string(suffix));
        if (found == m_tensors.end())
            return nullptr;
        const Tensor& tensor = *found->second;
        if (tensor.format->name != format || tensor.rows() != rows || tensor.cols() != cols)
            fail(QUERN_TEXT("core",
                            "%1: tensor %2 is %3 x %4 of %5; %6 x %7 of %8 are expected beside the sums of its "
                            "weight."),
                 m_source, tensor.name, tensor.rows(), tensor.cols(), tensor.format->name, rows, cols, format);
        return &tensor;
    }

    Matrix matrix(const Tensor& tensor) const
    {
        const std::vector<float> values = magnitudes(tensor.bytes, tensor.name, m_source);
        return Eigen::Map<const Matrix>(values.data(), tensor.rows(), tensor.cols());
    }

    LogHistogram histogram(const Tensor& tensor) const
    {
        LogHistogram histogram;
        histogram.counts.resize(LogHistogram::kBins);
        std::memcpy(histogram.counts.data(), tensor.bytes.data(), tensor.bytes.size());
        std::uint64_t sum = 0;
        for (const std::uint64_t count : histogram.counts)
            if (__builtin_add_overflow(sum, count, &sum) || sum >> 63)
                fail(QUERN_TEXT("core", "%1: the counts of tensor %2 are negative, or more than can be."), m_source,
                     tensor.name);
        return histogram;
    }

    void readHessians(const std::string& weight, InputStats& stats) const
    {
        const long experts = stats.sumSquares.rows(), size = stats.sumSquares.cols();
        if (!m_tensors.contains(weight + std::string(kHessian)))
            return;
        long twice = 0;
        if (__builtin_mul_overflow(size, size + 1, &twice))
            fail(QUERN_TEXT("core", "%1: H of %2 would have %3 columns; no file holds that."), m_source, weight, size);
        const Tensor& tensor = *find(weight, kHessian, "F32", experts, Hessian::values(size));
        const auto values = static_cast<std::size_t>(Hessian::values(size));
        const auto [all, owner] = floats(tensor);
        for (long i = 0; i < experts; ++i) {
            const bool seen = stats.counts[static_cast<std::size_t>(i)] > 0;
            const Hessian h {size, all.subspan(static_cast<std::size_t>(i) * values, values), owner, nullptr};
            stats.hessians.push_back(seen ? std::make_shared<const Hessian>(h) : nullptr);
        }
    }

    // Where they are, if they stay there and can be read there.
    std::pair<std::span<const float>, std::shared_ptr<const Storage>> floats(const Tensor& tensor) const
    {
        const std::size_t n = tensor.bytes.size() / sizeof(float);
        if (m_storage && reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(float) == 0)
            return {{reinterpret_cast<const float*>(tensor.bytes.data()), n}, m_storage};
        const auto owned = std::make_shared<Owned>();
        owned->values.resize(n);
        if (n > 0)
            std::memcpy(owned->values.data(), tensor.bytes.data(), tensor.bytes.size());
        return {owned->values, owned};
    }

    const std::shared_ptr<const Storage>& m_storage;
    std::string_view m_source;
    std::unordered_map<std::string_view, const Tensor*> m_tensors;
};

std::vector<std::string> names(const Metadata& metadata, const char* key)
{
    const MetaValue* value = metadata.find(key);
    const auto* array = value ? std::get_if<MetaArray>(value) : nullptr;
    const auto* found = array ? std::get_if<std::vector<std::string>>(array) : nullptr;
    return found ? *found : std::vector<std::string>();
}

void share(Calibration& calibration, const Metadata& metadata, std::string_view source)
{
    const std::vector<std::string> weights = names(metadata, kSharingKey), same = names(metadata, kSharedKey);
    if (weights.size() != same.size())
        fail(QUERN_TEXT("core", "%1: %2 has %3 names and %4 has %5; they belong together."), source, kSharingKey,
             weights.size(), kSharedKey, same.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const auto to = calibration.inputs.find(weights[i]), from = calibration.inputs.find(same[i]);
        const auto end = calibration.inputs.end();
        if (to == end || from == end || from->second.hessians.empty()
            || to->second.sumSquares.cols() != from->second.sumSquares.cols()
            || to->second.sumSquares.rows() != from->second.sumSquares.rows())
            fail(QUERN_TEXT("core",
                            "%1: %2 is said to have the inputs of %3, but they are not both there, with H, in the same "
                            "size."),
                 source, weights[i], same[i]);
        to->second.hessians = from->second.hessians;
    }
}

} // namespace

void readExtras(Calibration& calibration, const gguf::Directory& directory,
                const std::shared_ptr<const Storage>& storage, std::string_view source)
{
    const Metadata& metadata = directory.metadata;
    if (const auto version = metadata.integer(kVersionKey); version && *version != kVersion)
        fail(QUERN_TEXT("core", "%1 is a calibration of version %2; this program knows version %3."), source, *version,
             kVersion);
    calibration.sourceHash = metadata.text(kSourceKey).value_or("");
    const ExtrasReader reader(directory, storage, source);
    for (auto& [weight, stats] : calibration.inputs)
        reader.read(weight, stats);
    share(calibration, metadata, source);
}

} // namespace quern::calibrationfile
