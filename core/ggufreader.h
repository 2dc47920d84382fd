#pragma once

#include "core/error.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace quern::gguf {

// Reads the header of a GGUF file from front to back. Nothing is read or allocated that the file does not hold.
class Reader {
public:
    // source: name of the file for messages; outlives the reader
    Reader(std::span<const std::byte> file, std::string_view source);

    template <typename T>
    T number() // little-endian, as this program's machines are
    {
        need(1, sizeof(T));
        T value;
        std::memcpy(&value, m_file.data() + m_at, sizeof value);
        m_at += sizeof value;
        return value;
    }
    std::string text();                               // length, then bytes
    std::span<const std::byte> take(std::uint64_t n); // the next n bytes

    // Throws Error unless n things of `size` bytes follow. To be asked before room is made for them.
    void need(std::uint64_t n, std::uint64_t size) const;

    // Names the place for messages: within the header, the metadata entry or the tensor `name`.
    enum class Section { Header, Metadata, Tensors };
    void enter(Section section, std::string name);

    std::uint64_t at() const { return m_at; }
    std::string_view source() const { return m_source; }
    const std::string& name() const { return m_name; }

private:
    [[noreturn]] void failEnd(std::uint64_t n, std::uint64_t size) const;

    std::span<const std::byte> m_file;
    std::string_view m_source;
    std::uint64_t m_at = 0;
    Section m_section = Section::Header;
    std::string m_name;
};

} // namespace quern::gguf
