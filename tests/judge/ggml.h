#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace judge {

// One of ggml's number formats, as the library describes it.
struct Type {
    int id;             // as in GGUF
    std::string name;   // "f32", "q4_0", "q4_K", "iq2_xxs"
    std::int64_t block; // values in a block
    std::size_t bytes;  // bytes of a block
    bool quantized;
    bool decodable;       // Ggml::decode takes it
    bool encodable;       // Ggml::encode takes it
    bool needsImportance; // encode wants an importance for it
};

// ggml's own decoders, encoders and checks. All functions may be called from any thread.
class Ggml {
public:
    // Loaded at the first call, kept until the process ends.
    static const Ggml& instance();

    // False if the npm package is not installed or not the expected one; then only reason() may be called.
    bool available() const { return m_reason.empty(); }
    const std::string& reason() const { return m_reason; } // one sentence, empty if available

    // All types that exist, by rising id; removed ids (4, 5, 31 to 33, 36 to 38) are left out.
    const std::vector<Type>& types() const { return m_types; }
    const Type* find(int id) const;                // null if there is none
    const Type* find(std::string_view name) const; // null if there is none

    // Bytes of values of this type; values is a multiple of the block.
    std::size_t size(int type, std::int64_t values) const;

    // The functions below throw std::invalid_argument, with a sentence, for what ggml would answer by ending the
    // process.

    std::vector<float> decode(int type, std::span<const std::byte> bytes, std::int64_t values) const;

    // x: rows x cols. importance: cols weights that all rows share, or null.
    std::vector<std::byte> encode(int type, std::span<const float> x, std::int64_t rows, std::int64_t cols,
                                  const float* importance = nullptr) const;

    // False if a scale or a float is not a number or infinite, or the size is no whole number of blocks.
    // ggml writes the cause to the standard error output.
    bool validate(int type, std::span<const std::byte> bytes) const;

private:
    Ggml();

    std::string m_reason;
    std::vector<Type> m_types;
};

} // namespace judge
