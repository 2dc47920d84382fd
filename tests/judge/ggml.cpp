#include "ggml.h"

#include "library.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace judge {

namespace {

// What ggml_get_type_traits points to (ggml 0.25.1). blockSize and typeSize are also to be had from functions, and
// Ggml's constructor compares the two, which shows that the layout is this one.
struct Traits {
    const char* name;
    std::int64_t blockSize;
    std::int64_t interleave;
    std::size_t typeSize;
    bool quantized;
    void (*toFloat)(const void* blocks, float* x, std::int64_t values); // null for f32 and the integer types
    void (*fromFloat)(const float* x, void* blocks, std::int64_t values);
};

constexpr int kF32 = 0;
constexpr int kTypes = 43; // GGML_TYPE_COUNT of ggml 0.25.1

struct Functions {
    Library library {"libggml-base.so"};

    const Traits* (*traits)(int type) = library.find<const Traits*(int)>("ggml_get_type_traits");
    const char* (*name)(int type) = library.find<const char*(int)>("ggml_type_name");
    std::int64_t (*blockSize)(int type) = library.find<std::int64_t(int)>("ggml_blck_size");
    std::size_t (*typeSize)(int type) = library.find<std::size_t(int)>("ggml_type_size");
    bool (*needsImportance)(int type) = library.find<bool(int)>("ggml_quantize_requires_imatrix");
    bool (*validate)(int type, const void* data, std::size_t bytes)
        = library.find<bool(int, const void*, std::size_t)>("ggml_validate_row_data");
    // It builds the tables of the IQ types by itself at their first use, under a lock.
    std::size_t (*quantize)(int type, const float* x, void* blocks, std::int64_t start, std::int64_t rows,
                            std::int64_t cols, const float* importance)
        = library.find<std::size_t(int, const float*, void*, std::int64_t, std::int64_t, std::int64_t, const float*)>(
            "ggml_quantize_chunk");
};

const Functions& functions()
{
    static const Functions functions;
    return functions;
}

// ggml_quantize_chunk knows the types that have a quantize_NAME, and the three plain floats.
bool encodable(const std::string& name)
{
    return name == "f32" || name == "f16" || name == "bf16"
        || functions().library.findOptional(("quantize_" + name).c_str());
}

[[noreturn]] void refuse(const Type* type, const std::string& what)
{
    throw std::invalid_argument("ggml's type " + (type ? type->name : std::string("?")) + ' ' + what);
}

const Type& existing(const Ggml& ggml, int id)
{
    if (const Type* type = ggml.find(id))
        return *type;
    throw std::invalid_argument("ggml has no type " + std::to_string(id) + '.');
}

} // namespace

const Ggml& Ggml::instance()
{
    static const Ggml ggml;
    return ggml;
}

Ggml::Ggml()
{
    const Functions& f = functions();
    m_reason = f.library.reason();
    for (int id = 0; id < kTypes && available(); ++id) {
        const Traits& traits = *f.traits(id);
        if (traits.blockSize != f.blockSize(id) || traits.typeSize != f.typeSize(id) || traits.name != f.name(id))
            m_reason = "libggml-base.so describes its types in another layout than ggml 0.25.1.";
        else if (traits.blockSize > 0)
            m_types.push_back({id, traits.name, traits.blockSize, traits.typeSize, traits.quantized,
                               id == kF32 || traits.toFloat, encodable(traits.name), f.needsImportance(id)});
    }
    if (available() && (find("q4_0") != find(2) || find("q6_K") != find(14) || find("q2_0") != find(42)))
        m_reason = "libggml-base.so numbers its types otherwise than ggml 0.25.1.";
}

const Type* Ggml::find(int id) const
{
    const auto found = std::ranges::find(m_types, id, &Type::id);
    return found == m_types.end() ? nullptr : &*found;
}

const Type* Ggml::find(std::string_view name) const
{
    const auto found = std::ranges::find(m_types, name, &Type::name);
    return found == m_types.end() ? nullptr : &*found;
}

std::size_t Ggml::size(int type, std::int64_t values) const
{
    const Type& t = existing(*this, type);
    if (values < 0 || values % t.block)
        refuse(&t, "has blocks of " + std::to_string(t.block) + "; " + std::to_string(values) + " is no multiple.");
    return static_cast<std::size_t>(values / t.block) * t.bytes;
}

std::vector<float> Ggml::decode(int type, std::span<const std::byte> bytes, std::int64_t values) const
{
    if (size(type, values) != bytes.size())
        refuse(find(type),
               "needs " + std::to_string(size(type, values)) + " bytes, not " + std::to_string(bytes.size()) + '.');
    if (!find(type)->decodable)
        refuse(find(type), "cannot be decoded.");
    std::vector<float> x(static_cast<std::size_t>(values));
    if (type == kF32)
        std::ranges::copy(bytes, std::as_writable_bytes(std::span(x)).begin());
    else
        functions().traits(type)->toFloat(bytes.data(), x.data(), values);
    return x;
}

std::vector<std::byte> Ggml::encode(int type, std::span<const float> x, std::int64_t rows, std::int64_t cols,
                                    const float* importance) const
{
    std::vector<std::byte> blocks(static_cast<std::size_t>(rows) * size(type, cols));
    if (x.size() != static_cast<std::size_t>(rows * cols))
        refuse(find(type),
               "got " + std::to_string(x.size()) + " values for " + std::to_string(rows) + " x " + std::to_string(cols)
                   + '.');
    if (!find(type)->encodable)
        refuse(find(type), "cannot be encoded.");
    if (find(type)->needsImportance && !importance)
        refuse(find(type), "cannot be encoded without an importance.");
    const std::size_t written = functions().quantize(type, x.data(), blocks.data(), 0, rows, cols, importance);
    if (written != blocks.size())
        refuse(find(type),
               "gave " + std::to_string(written) + " bytes instead of " + std::to_string(blocks.size()) + '.');
    return blocks;
}

bool Ggml::validate(int type, std::span<const std::byte> bytes) const
{
    existing(*this, type);
    return functions().validate(type, bytes.data(), bytes.size());
}

} // namespace judge
