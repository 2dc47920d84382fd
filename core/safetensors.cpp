#include "core/safetensors.h"

#include "core/error.h"
#include "core/jsontext.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_set>

// Format: github.com/huggingface/safetensors, README "Format" and safetensors/src/tensor.rs for what is refused.
namespace quern::safetensors {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000; // the format's own limit

// What the header says of one tensor.
struct Entry {
    std::string name, dtype;
    std::vector<std::uint64_t> shape, offsets;
    unsigned fields = 0; // bits: which of the three have been read
};

// Reads {"name": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}, ..., "__metadata__": {"format": "pt"}}
// as it is parsed, so that keys that are there twice are seen and nothing else is ever stored.
class HeaderReader final : public Json::json_sax_t {
public:
    explicit HeaderReader(std::string_view source)
        : m_source(source)
    {
    }

    std::vector<Entry> entries;

    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("true or false"); }
    bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }
    bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
    bool binary(binary_t&) override { return unexpected("bytes"); }

    bool number_unsigned(number_unsigned_t value) override
    {
        if (m_depth != 3)
            return unexpected(std::to_string(value));
        (m_field == Shape ? entries.back().shape : entries.back().offsets).push_back(value);
        return true;
    }

    bool string(string_t& value) override
    {
        if (m_depth == 2 && m_inMetadata)
            return true;
        if (m_depth != 2 || m_field != Dtype)
            return unexpected('"' + value + '"');
        entries.back().dtype = value;
        return true;
    }

    bool start_object(std::size_t) override
    {
        if (m_depth == 2 || m_depth == 3)
            return unexpected("an object");
        ++m_depth;
        return true;
    }

    bool key(string_t& key) override
    {
        if (m_depth == 1)
            return keyOfHeader(key);
        return m_inMetadata || keyOfTensor(key);
    }

    bool end_object() override
    {
        if (m_depth == 2 && !m_inMetadata && entries.back().fields != (Dtype | Shape | Offsets))
            fail(QUERN_TEXT("core", "%1: tensor %2 lacks one of dtype, shape and data_offsets."), m_source,
                 entries.back().name);
        --m_depth;
        return true;
    }

    bool start_array(std::size_t) override
    {
        if (m_depth != 2 || m_inMetadata || (m_field != Shape && m_field != Offsets))
            return unexpected("a list");
        ++m_depth;
        return true;
    }

    bool end_array() override
    {
        --m_depth;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const Json::exception&) override
    {
        fail(QUERN_TEXT("core",
                        "The header of %1 is no valid JSON: what stands at byte %2 of the file makes no sense there. "
                        "The file may be damaged."),
             m_source, kLengthBytes + position);
    }

private:
    enum Field : unsigned { Dtype = 1, Shape = 2, Offsets = 4 };

    bool unexpected(const std::string& value) const
    {
        if (m_depth < 2)
            fail(QUERN_TEXT("core", "The header of %1 holds %2 where an object is expected."), m_source, value);
        fail(QUERN_TEXT("core",
                        "%1: the header holds %2 for %3, which makes no sense there: dtype is a text, shape and "
                        "data_offsets are lists of whole numbers."),
             m_source, value, m_inMetadata ? "__metadata__" : entries.back().name);
    }

    bool keyOfHeader(const std::string& key)
    {
        if (!m_names.insert(key).second)
            fail(QUERN_TEXT("core", "The header of %1 names %2 twice."), m_source, key);
        if (key.empty() || key.find('\0') != std::string::npos)
            fail(QUERN_TEXT("core", "The header of %1 holds a tensor name that is empty or contains a zero: \"%2\"."),
                 m_source, key);
        m_inMetadata = key == "__metadata__";
        if (!m_inMetadata)
            entries.push_back({key, {}, {}, {}});
        return true;
    }

    bool keyOfTensor(const std::string& key)
    {
        m_field = key == "dtype" ? Dtype : key == "shape" ? Shape : Offsets;
        if (m_field == Offsets && key != "data_offsets")
            fail(QUERN_TEXT("core", "%1: the header has an entry %2 for tensor %3, which safetensors does not know."),
                 m_source, key, entries.back().name);
        if (entries.back().fields & m_field)
            fail(QUERN_TEXT("core", "%1: the header has two entries %2 for tensor %3."), m_source, key,
                 entries.back().name);
        entries.back().fields |= m_field;
        return true;
    }

    std::string_view m_source;
    std::unordered_set<std::string> m_names;
    int m_depth = 0; // 1: header, 2: a tensor, 3: a list
    bool m_inMetadata = false;
    Field m_field = Dtype;
};

std::uint64_t headerBytes(std::span<const std::byte> file)
{
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), kLengthBytes); // little-endian
    return length;
}

std::string_view headerText(std::span<const std::byte> file, std::string_view source)
{
    if (file.size() < kLengthBytes)
        fail(QUERN_TEXT("core",
                        "%1 has %2 bytes; a safetensors file begins with 8 bytes that say how long its header is. The "
                        "download may have failed."),
             source, file.size());
    const std::uint64_t length = headerBytes(file);
    if (length > kLargestHeader)
        fail(QUERN_TEXT("core",
                        "%1 is said to have a header of %2 bytes; safetensors allows at most %3. It may be damaged or "
                        "of another kind."),
             source, length, kLargestHeader);
    if (length > file.size() - kLengthBytes)
        fail(QUERN_TEXT("core",
                        "%1 ends within its header: %2 bytes are expected, %3 are there. The download may be "
                        "incomplete."),
             source, kLengthBytes + length, file.size());
    return {reinterpret_cast<const char*>(file.data()) + kLengthBytes, length};
}

std::vector<long> shape(const Entry& entry, std::string_view source)
{
    constexpr std::size_t kMost = 16;
    if (entry.shape.size() > kMost)
        fail(QUERN_TEXT("core", "%1: tensor %2 has %3 dimensions; more than %4 are not expected."), source, entry.name,
             entry.shape.size(), kMost);
    // No bytes of the file bound the other dimensions of a tensor without weights, which loops still run over.
    constexpr std::uint64_t kLargestEmpty = 1 << 20;
    const bool isEmpty = std::ranges::find(entry.shape, 0) != entry.shape.end();
    const std::uint64_t most = isEmpty ? kLargestEmpty : std::numeric_limits<std::int64_t>::max();
    std::uint64_t count = 1;
    for (const std::uint64_t dimension : entry.shape)
        if (__builtin_mul_overflow(count, std::max<std::uint64_t>(dimension, 1), &count) || count > most)
            fail(
                QUERN_TEXT("core",
                           "%1: tensor %2 is said to have a dimension of %3, more weights in all than any file holds."),
                source, entry.name, dimension);
    return {entry.shape.begin(), entry.shape.end()};
}

// dtype, shape and offsets must agree with each other and with the file.
Tensor tensor(const Entry& entry, std::span<const std::byte> data, std::string_view source)
{
    const BlockFormat* format = findBlockFormat(entry.dtype);
    if (!format || format->values != 1 || format->name != entry.dtype)
        fail(QUERN_TEXT("core", "%1: tensor %2 has the dtype %3, which is not known here."), source, entry.name,
             entry.dtype);
    Tensor tensor {.name = entry.name, .shape = shape(entry, source), .format = format};
    if (entry.offsets.size() != 2 || entry.offsets[0] > entry.offsets[1])
        fail(QUERN_TEXT("core", "%1: tensor %2 has data_offsets that are no begin and end."), source, entry.name);
    const std::uint64_t begin = entry.offsets[0], end = entry.offsets[1];
    if (end > data.size())
        fail(QUERN_TEXT("core",
                        "%1: tensor %2 ends at byte %3 of the data, but the file has only %4 bytes of data. The "
                        "download may be incomplete."),
             source, entry.name, end, data.size());
    const auto size = static_cast<std::uint64_t>(format->bytes);
    if ((end - begin) % size != 0 || (end - begin) / size != static_cast<std::uint64_t>(tensor.count()))
        fail(QUERN_TEXT("core", "%1: tensor %2 has %3 weights of type %4, but %5 bytes."), source, entry.name,
             tensor.count(), entry.dtype, end - begin);
    tensor.bytes = data.subspan(begin, end - begin);
    tensor.offset = begin;
    return tensor;
}

void checkCover(const std::vector<Tensor>& tensors, std::uint64_t dataBytes, std::string_view source)
{
    std::uint64_t end = 0;
    for (const Tensor& tensor : tensors) {
        if (tensor.offset < end)
            fail(QUERN_TEXT("core", "%1: tensor %2 begins at byte %3 of the data, within the tensor before it."),
                 source, tensor.name, tensor.offset);
        if (tensor.offset > end)
            fail(QUERN_TEXT("core", "%1: %2 bytes of the data before tensor %3 belong to no tensor."), source,
                 tensor.offset - end, tensor.name);
        end += tensor.bytes.size();
    }
    if (end != dataBytes)
        fail(
            QUERN_TEXT("core",
                       "%1: %2 bytes behind the last tensor belong to none. The file may be damaged, or two files have "
                       "been joined."),
            source, dataBytes - end);
}

} // namespace

std::uint64_t dataBegin(std::span<const std::byte> file)
{
    if (file.size() < kLengthBytes)
        return file.size();
    return kLengthBytes + std::min<std::uint64_t>(headerBytes(file), file.size() - kLengthBytes);
}

std::vector<Tensor> tensors(std::span<const std::byte> file, std::string_view source)
{
    const std::string_view header = headerText(file, source);
    checkNesting(header, source);
    HeaderReader reader(source);
    Json::sax_parse(header.begin(), header.end(), &reader);
    const std::span<const std::byte> data = file.subspan(dataBegin(file));
    std::vector<Tensor> tensors;
    for (const Entry& entry : reader.entries)
        tensors.push_back(tensor(entry, data, source));
    std::ranges::stable_sort(tensors, [](const Tensor& a, const Tensor& b) {
        return std::pair(a.offset, a.bytes.size()) < std::pair(b.offset, b.bytes.size());
    });
    checkCover(tensors, data.size(), source);
    for (Tensor& tensor : tensors)
        tensor.offset += dataBegin(file);
    return tensors;
}

} // namespace quern::safetensors
