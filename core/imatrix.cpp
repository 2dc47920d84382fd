#include "core/calibrationfile.h"
#include "core/gguf.h"
#include "core/ggufreader.h"
#include "core/mappedfile.h"
#include "core/utf8.h"

#include <cmath>
#include <cstring>
#include <unordered_map>

// llama.cpp's importance matrices. GGUF: general.type "imatrix" and, for each weight W, tensors W.in_sum2 (experts x in
// features: sums of squares) and W.counts (experts). Legacy: a number of entries, each a name, a number of calls and
// means of squares times that number; then, in newer files, the number of chunks and the name of the text.
namespace quern {
namespace {

using gguf::Reader;
using namespace calibrationfile;

bool isMagnitude(double value)
{
    return std::isfinite(value) && value >= 0.0;
}

} // namespace

std::vector<float> calibrationfile::magnitudes(std::span<const std::byte> bytes, std::string_view name,
                                               std::string_view source)
{
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!values.empty())
        std::memcpy(values.data(), bytes.data(), bytes.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!isMagnitude(values[i]))
            fail(QUERN_TEXT("core", "%1: value %2 of %3 is %4; a finite number that is not negative is expected."),
                 source, i, name, static_cast<double>(values[i]));
    return values;
}

namespace {

InputStats statsOf(const Tensor& sums, const Tensor* counts, std::string_view source)
{
    if (!counts || counts->count() != sums.rows())
        fail(QUERN_TEXT("core", "%1: %2 has %3 rows, and there is no tensor of as many counts beside it."), source,
             sums.name, sums.rows());
    for (const Tensor* tensor : {&sums, counts})
        if (tensor->format->name != "F32")
            fail(QUERN_TEXT("core", "%1: tensor %2 is stored as %3; F32 is expected in an importance matrix."), source,
                 tensor->name, tensor->format->name);
    InputStats stats;
    const std::vector<float> values = magnitudes(sums.bytes, sums.name, source);
    stats.sumSquares = Eigen::Map<const Matrix>(values.data(), sums.rows(), sums.cols()).cast<double>();
    for (const float count : magnitudes(counts->bytes, counts->name, source))
        stats.counts.push_back(count);
    return stats;
}

void addTexts(Calibration& calibration, const Metadata& metadata)
{
    const MetaValue* value = metadata.find("imatrix.datasets");
    const auto* array = value ? std::get_if<MetaArray>(value) : nullptr;
    if (const auto* names = array ? std::get_if<std::vector<std::string>>(array) : nullptr)
        calibration.datasets = *names;
    calibration.chunks = std::max<long>(0, metadata.integer("imatrix.chunk_count").value_or(0));
    calibration.context = std::max<long>(0, metadata.integer("imatrix.chunk_size").value_or(0));
}

Calibration fromGguf(std::span<const std::byte> file, const std::shared_ptr<const Storage>& storage,
                     std::string_view source)
{
    const gguf::Directory directory = gguf::directory(file, source);
    std::unordered_map<std::string_view, const Tensor*> byName;
    for (const Tensor& tensor : directory.tensors)
        byName[tensor.name] = &tensor;
    Calibration calibration;
    for (const Tensor& tensor : directory.tensors)
        if (tensor.name.ends_with(kSums)) {
            const std::string weight = tensor.name.substr(0, tensor.name.size() - kSums.size());
            const std::string countsName = weight + std::string(kCounts);
            const auto counts = byName.find(countsName);
            calibration.inputs[weight] = statsOf(tensor, counts == byName.end() ? nullptr : counts->second, source);
        }
    if (calibration.inputs.empty())
        fail(QUERN_TEXT("core",
                        "%1 is a GGUF file, but no importance matrix: none of its tensors is named \"....in_sum2\"."),
             source);
    addTexts(calibration, directory.metadata);
    readExtras(calibration, directory, storage, source);
    return calibration;
}

// A number that is a length or a count in the legacy format.
std::uint64_t amount(Reader& reader, std::string_view what)
{
    const std::uint64_t at = reader.at();
    const auto value = reader.number<std::int32_t>();
    if (value < 0)
        fail(
            QUERN_TEXT("core",
                       "%1 is no importance matrix: the %2 at byte %3 is %4. It is neither GGUF nor the legacy format, "
                       "or it is damaged."),
            reader.source(), what, at, value);
    return static_cast<std::uint64_t>(value);
}

void readEntry(Reader& reader, Calibration& calibration)
{
    const auto nameBytes = reader.take(amount(reader, "length of a name"));
    const std::string name(reinterpret_cast<const char*>(nameBytes.data()), nameBytes.size());
    if (name.empty() || !isUtf8(name))
        fail(QUERN_TEXT("core", "%1 is no importance matrix: \"%2\" is no tensor's name."), reader.source(), name);
    reader.enter(Reader::Section::Tensors, "tensor \"" + toText(name) + '"');
    const std::uint64_t calls = amount(reader, "number of calls");
    const std::uint64_t n = amount(reader, "number of values");
    reader.need(n, sizeof(float));
    const std::vector<float> values = magnitudes(reader.take(n * sizeof(float)), name, reader.source());
    if (n == 0 || calibration.inputs.contains(name))
        fail(QUERN_TEXT("core", "%1: the entry of %2 is empty or there twice."), reader.source(), name);
    InputStats& stats = calibration.inputs[name];
    stats.sumSquares = Eigen::Map<const Matrix>(values.data(), 1, static_cast<long>(n)).cast<double>();
    stats.counts = {static_cast<double>(calls)};
}

Calibration fromLegacy(std::span<const std::byte> file, std::string_view source)
{
    constexpr std::uint64_t kSmallestEntry = 3 * sizeof(std::int32_t) + 1;
    Reader reader(file, source);
    const std::uint64_t n = amount(reader, "number of entries");
    reader.enter(Reader::Section::Tensors, "the list of tensors");
    reader.need(n, kSmallestEntry);
    Calibration calibration;
    for (std::uint64_t i = 0; i < n; ++i)
        readEntry(reader, calibration);
    if (calibration.inputs.empty())
        fail(QUERN_TEXT("core", "%1 is an importance matrix of no tensors."), source);
    if (reader.at() == file.size())
        return calibration; // as written before 2024
    reader.enter(Reader::Section::Tensors, "the name of the text");
    calibration.chunks = static_cast<long>(amount(reader, "number of chunks"));
    const auto name = reader.take(amount(reader, "length of the text's name"));
    calibration.datasets.emplace_back(reinterpret_cast<const char*>(name.data()), name.size());
    if (reader.at() < file.size())
        fail(QUERN_TEXT("core", "%1 goes on for %2 bytes behind the end of its importance matrix. It may be damaged."),
             source, file.size() - reader.at());
    return calibration;
}

Calibration fromBytes(std::span<const std::byte> file, const std::shared_ptr<const Storage>& storage,
                      std::string_view source)
{
    const bool isGguf = file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0;
    return isGguf ? fromGguf(file, storage, source) : fromLegacy(file, source);
}

} // namespace

Calibration imatrixFromBytes(std::span<const std::byte> file, std::string_view source)
{
    return fromBytes(file, nullptr, source);
}

Calibration readImatrix(const std::filesystem::path& path)
{
    const auto file = MappedFile::open(path);
    Calibration calibration = fromBytes(file->bytes(), file, path.string());
    file->check();
    calibration.path = path;
    return calibration;
}

} // namespace quern
