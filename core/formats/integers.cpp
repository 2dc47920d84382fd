#include "core/blockformat.h"
#include "core/stored.h"

// Integers of GGUF and safetensors as they are: positions, routing tables, masks. Read only; wide ones round to float.
namespace quern {
namespace {

template <typename T>
void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* stored = reinterpret_cast<const Stored<T>*>(blocks);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(static_cast<T>(stored[i]));
}

void decodeTruth(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = blocks[i] == std::byte {0} ? 0.0f : 1.0f;
}

template <typename T>
constexpr BlockFormat integer(std::string_view name, std::uint32_t id)
{
    return {.name = name, .id = id, .values = 1, .bytes = sizeof(T), .decode = decode<T>};
}

} // namespace

extern const BlockFormat i8, i16, i32, i64, u8, u16, u32, u64, truth;
constinit const BlockFormat i8 = integer<std::int8_t>("I8", 24);
constinit const BlockFormat i16 = integer<std::int16_t>("I16", 25);
constinit const BlockFormat i32 = integer<std::int32_t>("I32", 26);
constinit const BlockFormat i64 = integer<std::int64_t>("I64", 27);
constinit const BlockFormat u8 = integer<std::uint8_t>("U8", kOwnFormats + 2);
constinit const BlockFormat u16 = integer<std::uint16_t>("U16", kOwnFormats + 3);
constinit const BlockFormat u32 = integer<std::uint32_t>("U32", kOwnFormats + 4);
constinit const BlockFormat u64 = integer<std::uint64_t>("U64", kOwnFormats + 5);
constinit const BlockFormat truth {
    .name = "BOOL", .id = kOwnFormats + 6, .values = 1, .bytes = 1, .decode = decodeTruth};

} // namespace quern
