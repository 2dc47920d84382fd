#include "core/gguf.h"
#include "core/ggufreader.h"
#include "core/utf8.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_set>

namespace quern::gguf {
namespace {

constexpr std::uint32_t kTypes = 13; // GGUF value types 0 to 12
constexpr std::uint32_t kArray = 9;

// The smallest entry: length, one character, value type, one byte.
constexpr std::uint64_t kSmallestEntry = 8 + 1 + 4 + 1;
// The smallest tensor: length, one character, number of dimensions, type, offset.
constexpr std::uint64_t kSmallestTensor = 8 + 1 + 4 + 4 + 8;

// No bytes of the file bound the other dimensions of a tensor without weights, which loops still run over.
constexpr std::uint64_t kLargestEmpty = 1 << 20;

struct Counts {
    std::uint64_t tensors, entries;
};

Counts header(Reader& reader, Directory& directory)
{
    const std::span<const std::byte> magic = reader.take(4);
    if (std::memcmp(magic.data(), "GGUF", 4) != 0)
        fail(QUERN_TEXT("core", "%1 is no GGUF file: it begins with \"%2\" instead of \"GGUF\"."), reader.source(),
             std::string_view(reinterpret_cast<const char*>(magic.data()), 4));
    directory.version = reader.number<std::uint32_t>();
    if (directory.version != 0 && (directory.version & 0xFFFF) == 0)
        fail(QUERN_TEXT("core",
                        "%1 is a GGUF file for big-endian machines, which is not read here. llama.cpp's "
                        "gguf_convert_endian.py turns it around."),
             reader.source());
    if (directory.version < 2)
        fail(
            QUERN_TEXT("core",
                       "%1 is GGUF version %2, which was given up in 2023; versions 2 and 3 are read here. Convert the "
                       "original model again."),
            reader.source(), directory.version);
    if (directory.version > 3)
        fail(
            QUERN_TEXT("core",
                       "%1 is GGUF version %2; versions 2 and 3 are read here. A newer program may have written it, or "
                       "it is damaged."),
            reader.source(), directory.version);
    const Counts counts {reader.number<std::uint64_t>(), reader.number<std::uint64_t>()};
    reader.enter(Reader::Section::Metadata, "the list of entries");
    reader.need(counts.entries, kSmallestEntry);
    reader.enter(Reader::Section::Tensors, "the list of tensors");
    reader.need(counts.tensors, kSmallestTensor);
    return counts;
}

[[noreturn]] void failType(const Reader& reader, std::uint32_t type)
{
    fail(QUERN_TEXT("core", "%1: the metadata %2 has value type %3 at byte %4; GGUF's types are 0 to 12."),
         reader.source(), reader.name(), type, reader.at() - sizeof type);
}

bool flag(Reader& reader)
{
    const auto value = reader.number<std::uint8_t>();
    if (value > 1)
        fail(QUERN_TEXT("core", "%1: the metadata %2 has a truth value of %3 at byte %4; 0 or 1 is expected."),
             reader.source(), reader.name(), value, reader.at() - 1);
    return value == 1;
}

template <typename Item>
void readItems(Reader& reader, std::uint64_t n, std::vector<Item>& items)
{
    if constexpr (std::is_same_v<Item, std::string>) {
        reader.need(n, sizeof(std::uint64_t));
        for (std::uint64_t i = 0; i < n; ++i)
            items.push_back(reader.text());
    } else if constexpr (std::is_same_v<Item, bool>) {
        reader.need(n, 1);
        for (std::uint64_t i = 0; i < n; ++i)
            items.push_back(flag(reader));
    } else {
        reader.need(n, sizeof(Item));
        const auto bytes = reader.take(n * sizeof(Item));
        items.resize(n);
        std::ranges::copy(bytes, std::as_writable_bytes(std::span(items)).begin());
    }
}

template <std::size_t Type = 0>
MetaArray array(Reader& reader, std::uint32_t type, std::uint64_t n)
{
    if constexpr (Type == kTypes) {
        failType(reader, type);
    } else if constexpr (Type == kArray) {
        if (type == kArray)
            fail(QUERN_TEXT("core", "%1: the metadata %2 is an array of arrays, which GGUF does not have."),
                 reader.source(), reader.name());
        return array<Type + 1>(reader, type, n);
    } else {
        if (type != Type)
            return array<Type + 1>(reader, type, n);
        std::variant_alternative_t<Type, MetaArray> items;
        readItems(reader, n, items);
        return MetaArray(std::in_place_index<Type>, std::move(items));
    }
}

MetaArray array(Reader& reader)
{
    const auto type = reader.number<std::uint32_t>();
    if (type >= kTypes)
        failType(reader, type);
    return array(reader, type, reader.number<std::uint64_t>());
}

template <std::size_t Type = 0>
MetaValue value(Reader& reader, std::uint32_t type)
{
    if constexpr (Type == kTypes) {
        failType(reader, type);
    } else {
        using T = std::variant_alternative_t<Type, MetaValue>;
        if (type != Type)
            return value<Type + 1>(reader, type);
        if constexpr (std::is_same_v<T, std::string>)
            return MetaValue(std::in_place_index<Type>, reader.text());
        else if constexpr (std::is_same_v<T, MetaArray>)
            return MetaValue(std::in_place_index<Type>, array(reader));
        else if constexpr (std::is_same_v<T, bool>)
            return MetaValue(std::in_place_index<Type>, flag(reader));
        else
            return MetaValue(std::in_place_index<Type>, reader.number<T>());
    }
}

bool isName(std::string_view text)
{
    return !text.empty() && isUtf8(text) && text.find('\0') == std::string_view::npos;
}

void readMetadata(Reader& reader, std::uint64_t n, Metadata& metadata)
{
    for (std::uint64_t i = 0; i < n; ++i) {
        reader.enter(Reader::Section::Metadata, "entry " + std::to_string(i));
        const std::uint64_t begin = reader.at();
        std::string key = reader.text();
        if (key.empty())
            fail(QUERN_TEXT("core", "%1: the key of metadata entry %2, at byte %3, is empty."), reader.source(), i,
                 begin);
        if (!isName(key))
            fail(QUERN_TEXT("core",
                            "%1: the key \"%2\" of metadata entry %3, at byte %4, is no UTF-8 text or holds a zero."),
                 reader.source(), key, i, begin);
        if (metadata.find(key))
            fail(QUERN_TEXT("core", "%1: the metadata key %2 is there twice, at byte %3 for the second time."),
                 reader.source(), key, begin);
        reader.enter(Reader::Section::Metadata, "entry \"" + toText(key) + '"');
        MetaValue read = value(reader, reader.number<std::uint32_t>());
        metadata.set(std::move(key), std::move(read));
    }
}

std::string shapeText(std::span<const std::uint64_t> dimensions)
{
    std::string text;
    for (const std::uint64_t dimension : dimensions)
        text += (text.empty() ? "" : " x ") + std::to_string(static_cast<std::int64_t>(dimension));
    return text;
}

std::vector<long> shape(Reader& reader)
{
    const auto n = reader.number<std::uint32_t>();
    if (n > kMostDimensions)
        fail(QUERN_TEXT("core", "%1: %2 has %3 dimensions at byte %4; GGUF has at most %5."), reader.source(),
             reader.name(), n, reader.at() - sizeof n, kMostDimensions);
    std::vector<std::uint64_t> dimensions; // innermost first, as in the file
    std::uint64_t count = 1;
    bool fits = true;
    for (std::uint32_t i = 0; i < n; ++i) {
        const auto dimension = reader.number<std::uint64_t>();
        dimensions.push_back(dimension);
        fits &= dimension <= std::numeric_limits<std::int64_t>::max();
        fits &= !__builtin_mul_overflow(count, std::max<std::uint64_t>(dimension, 1), &count);
    }
    const bool isEmpty = std::ranges::find(dimensions, 0) != dimensions.end();
    if (!fits || count > (isEmpty ? kLargestEmpty : std::numeric_limits<std::int64_t>::max()))
        fail(QUERN_TEXT("core", "%1: %2 is said to be %3; no tensor has that many weights."), reader.source(),
             reader.name(), shapeText(dimensions));
    return {dimensions.rbegin(), dimensions.rend()};
}

const BlockFormat& format(const Reader& reader, std::uint32_t type)
{
    constexpr std::array<std::uint32_t, 8> kRemoved {4, 5, 31, 32, 33, 36, 37, 38};
    if (std::ranges::find(kRemoved, type) != kRemoved.end())
        fail(QUERN_TEXT("core",
                        "%1: %2 has type %3, which GGUF no longer has. Only the program that wrote the file can "
                        "convert it."),
             reader.source(), reader.name(), type);
    const BlockFormat* format = type < kOwnFormats ? findBlockFormat(type) : nullptr;
    if (!format)
        fail(QUERN_TEXT("core",
                        "%1: %2 has type %3, which is not known here. A newer program may have written the "
                        "file, or it is damaged."),
             reader.source(), reader.name(), type);
    return *format;
}

std::uint64_t dataBytes(const Reader& reader, const Tensor& tensor)
{
    const auto values = static_cast<std::uint64_t>(tensor.format->values);
    if (!tensor.format->fits(tensor.cols()))
        fail(QUERN_TEXT("core", "%1: tensor %2 has rows of %3 weights; %4 stores blocks of %5."), reader.source(),
             tensor.name, tensor.cols(), tensor.format->name, values);
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(tensor.count()) / values,
                               static_cast<std::uint64_t>(tensor.format->bytes), &bytes))
        fail(QUERN_TEXT("core", "%1: tensor %2 is said to have %3 weights; no file holds that many."), reader.source(),
             tensor.name, tensor.count());
    return bytes;
}

struct Place {
    std::uint64_t offset, bytes; // offset: from the start of the data
};

Place readTensor(Reader& reader, Tensor& tensor)
{
    const std::uint64_t begin = reader.at();
    tensor.name = reader.text();
    if (!isName(tensor.name) || tensor.name.size() > kLongestName)
        fail(QUERN_TEXT("core",
                        "%1: the tensor name \"%2\" at byte %3 has %4 bytes; 1 to %5 bytes of UTF-8 text without zeros "
                        "are expected."),
             reader.source(), tensor.name, begin, tensor.name.size(), kLongestName);
    reader.enter(Reader::Section::Tensors, "tensor \"" + tensor.name + '"');
    tensor.shape = shape(reader);
    tensor.format = &format(reader, reader.number<std::uint32_t>());
    const auto offset = reader.number<std::uint64_t>();
    return {offset, dataBytes(reader, tensor)};
}

std::vector<Place> readTensors(Reader& reader, std::uint64_t n, Directory& directory)
{
    std::vector<Place> places;
    std::unordered_set<std::string> names;
    for (std::uint64_t i = 0; i < n; ++i) {
        reader.enter(Reader::Section::Tensors, "tensor " + std::to_string(i));
        Tensor tensor {};
        places.push_back(readTensor(reader, tensor));
        if (!names.insert(tensor.name).second)
            fail(QUERN_TEXT("core", "%1 has two tensors named %2."), reader.source(), tensor.name);
        if (tensor.shape.empty())
            directory.warnings.push_back(
                sentence(QUERN_TEXT("core", "Tensor %1 has no dimensions; it is taken as one number."), tensor.name));
        if (tensor.count() == 0)
            directory.warnings.push_back(
                sentence(QUERN_TEXT("core", "Tensor %1 has a dimension of 0 and holds no weights."), tensor.name));
        directory.tensors.push_back(std::move(tensor));
    }
    return places;
}

} // namespace

std::uint32_t alignment(const Metadata& metadata, std::string_view source)
{
    constexpr std::uint32_t kLargest = 1 << 20;
    const MetaValue* value = metadata.find("general.alignment");
    if (!value)
        return kDefaultAlignment;
    const auto* bytes = std::get_if<std::uint32_t>(value);
    if (!bytes)
        fail(QUERN_TEXT("core",
                        "%1: general.alignment has value type %2; type 4, a 32-bit unsigned number, is expected."),
             source, value->index());
    if (!std::has_single_bit(*bytes) || *bytes < 8 || *bytes > kLargest)
        fail(QUERN_TEXT("core", "%1: general.alignment is %2; a power of two from 8 to %3 is expected."), source,
             *bytes, kLargest);
    return *bytes;
}

namespace {

// Gives the tensors their bytes. Each must lie within the file and start aligned.
void place(Directory& directory, std::span<const Place> places, std::span<const std::byte> file, const Reader& reader)
{
    const std::uint64_t aligned = alignment(directory.metadata, reader.source());
    directory.dataBegin = (reader.at() + aligned - 1) / aligned * aligned;
    const std::uint64_t available = file.size() > directory.dataBegin ? file.size() - directory.dataBegin : 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
        Tensor& tensor = directory.tensors[i];
        const auto [offset, bytes] = places[i];
        if (offset % aligned != 0)
            fail(QUERN_TEXT("core", "%1: tensor %2 begins %3 bytes into the data, no multiple of the alignment of %4."),
                 reader.source(), tensor.name, offset, aligned);
        if (offset > available || bytes > available - offset)
            fail(QUERN_TEXT("core",
                            "%1: tensor %2 takes %3 bytes from byte %4 of the data, which begin at byte %5; the file "
                            "has %6 bytes. The download may be incomplete."),
                 reader.source(), tensor.name, bytes, offset, directory.dataBegin, file.size());
        tensor.offset = directory.dataBegin + offset;
        if (bytes > 0)
            tensor.bytes = file.subspan(tensor.offset, bytes);
    }
}

// Tensors must not share bytes. Other orders than that of the list, gaps, and bytes behind the last tensor are odd.
void checkOrder(Directory& directory, std::uint64_t fileBytes, std::string_view source)
{
    const std::uint64_t aligned = alignment(directory.metadata, source);
    std::vector<const Tensor*> order;
    for (const Tensor& tensor : directory.tensors)
        if (!tensor.bytes.empty())
            order.push_back(&tensor);
    if (!std::ranges::is_sorted(order, {}, &Tensor::offset))
        directory.warnings.push_back(
            sentence(QUERN_TEXT("core", "The tensors of %1 are stored in another order than listed."), source));
    std::ranges::stable_sort(order, {}, &Tensor::offset);
    std::uint64_t end = directory.dataBegin, unused = 0;
    const Tensor* last = nullptr;
    for (const Tensor* tensor : order) {
        if (last && tensor->offset < last->offset + last->bytes.size())
            fail(QUERN_TEXT("core", "%1: the tensors %2 and %3 share bytes, from byte %4 of the file. It is damaged."),
                 source, last->name, tensor->name, tensor->offset);
        unused += tensor->offset - end;
        end = (tensor->offset + tensor->bytes.size() + aligned - 1) / aligned * aligned;
        last = tensor;
    }
    if (last && end > fileBytes)
        fail(QUERN_TEXT("core",
                        "%1 ends within the padding of its last tensor %2: %3 bytes are expected, %4 are there. The "
                        "download may be incomplete."),
             source, last->name, end, fileBytes);
    if (unused > 0)
        directory.warnings.push_back(
            sentence(QUERN_TEXT("core", "%1 bytes between the tensors of %2 belong to none of them."), unused, source));
    if (fileBytes > end)
        directory.warnings.push_back(sentence(
            QUERN_TEXT("core", "%1 bytes behind the last tensor of %2 belong to none."), fileBytes - end, source));
}

} // namespace

Directory directory(std::span<const std::byte> file, std::string_view source)
{
    Directory directory;
    Reader reader(file, source);
    const Counts counts = header(reader, directory);
    readMetadata(reader, counts.entries, directory.metadata);
    const std::vector<Place> places = readTensors(reader, counts.tensors, directory);
    place(directory, places, file, reader);
    checkOrder(directory, file.size(), source);
    return directory;
}

} // namespace quern::gguf
