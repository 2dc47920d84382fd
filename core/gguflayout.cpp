#include "core/gguf.h"
#include "core/utf8.h"

#include <cstring>

namespace quern::gguf {
namespace {

constexpr std::uint32_t kVersion = 3;

// Appends what a GGUF header is made of, little-endian.
class Writer {
public:
    template <typename T>
    void number(T value)
    {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        m_bytes.insert(m_bytes.end(), bytes, bytes + sizeof value);
    }
    void text(std::string_view text)
    {
        number<std::uint64_t>(text.size());
        const auto bytes = std::as_bytes(std::span(text));
        m_bytes.insert(m_bytes.end(), bytes.begin(), bytes.end());
    }

    void write(const MetaValue& value)
    {
        number(static_cast<std::uint32_t>(value.index()));
        std::visit([&](const auto& v) { item(v); }, value);
    }

    std::vector<std::byte> padded(std::uint64_t alignment) &&
    {
        m_bytes.resize((m_bytes.size() + alignment - 1) / alignment * alignment);
        return std::move(m_bytes);
    }

private:
    template <typename T>
    void item(const T& value)
    {
        number(value);
    }
    void item(bool value) { number<std::uint8_t>(value ? 1 : 0); }
    void item(const std::string& value) { text(value); }
    void item(const MetaArray& array)
    {
        number(static_cast<std::uint32_t>(array.index()));
        std::visit([&](const auto& items) { this->items(items); }, array);
    }
    template <typename Item>
    void items(const std::vector<Item>& items)
    {
        number<std::uint64_t>(items.size());
        for (const Item& value : items)
            item(value);
    }
    void items(std::monostate) { number<std::uint64_t>(0); } // an array of arrays is never made

    std::vector<std::byte> m_bytes;
};

void check(const TensorInfo& tensor)
{
    const std::string_view name = tensor.name;
    if (name.empty() || name.size() > kLongestName || !isUtf8(name) || name.find('\0') != name.npos)
        fail(
            QUERN_TEXT("core", "The tensor name \"%1\" has %2 bytes; GGUF holds names of 1 to %3 bytes of UTF-8 text."),
            name, name.size(), kLongestName);
    if (!tensor.format->inGguf())
        fail(QUERN_TEXT("core", "Tensor %1 is stored as %2, which GGUF does not know."), name, tensor.format->name);
    if (tensor.shape.size() > kMostDimensions)
        fail(QUERN_TEXT("core", "Tensor %1 has %2 dimensions; GGUF has at most %3."), name, tensor.shape.size(),
             kMostDimensions);
    if (!tensor.format->fits(tensor.shape.empty() ? 1 : tensor.shape.back()))
        fail(QUERN_TEXT("core", "Tensor %1 has rows of %2 weights; %3 stores blocks of %4."), name,
             tensor.shape.empty() ? 1 : tensor.shape.back(), tensor.format->name, tensor.format->values);
}

std::uint64_t bytesOf(const TensorInfo& tensor)
{
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i)
        rows *= static_cast<std::uint64_t>(tensor.shape[i]);
    return rows * tensor.format->rowBytes(tensor.shape.empty() ? 1 : tensor.shape.back());
}

} // namespace

Layout layout(const Metadata& metadata, std::span<const TensorInfo> tensors)
{
    const std::uint64_t aligned = alignment(metadata, "The model");
    Writer writer;
    writer.number<std::uint32_t>(0x46554747); // "GGUF"
    writer.number(kVersion);
    writer.number<std::uint64_t>(tensors.size());
    writer.number<std::uint64_t>(metadata.entries().size());
    for (const Metadata::Entry& entry : metadata.entries()) {
        writer.text(entry.key);
        writer.write(entry.value);
    }
    Layout layout {};
    std::uint64_t offset = 0;
    for (const TensorInfo& tensor : tensors) {
        check(tensor);
        writer.text(tensor.name);
        writer.number(static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
            writer.number<std::uint64_t>(static_cast<std::uint64_t>(*size));
        writer.number(tensor.format->id);
        writer.number(offset);
        layout.offsets.push_back(offset);
        offset = (offset + bytesOf(tensor) + aligned - 1) / aligned * aligned;
    }
    layout.header = std::move(writer).padded(aligned);
    for (std::uint64_t& begin : layout.offsets)
        begin += layout.header.size();
    layout.fileBytes = layout.header.size() + offset;
    return layout;
}

} // namespace quern::gguf
