#pragma once

#include "core/mappedfile.h"

namespace quern {

// A file for what need not fit in memory. Movable; for several threads at once.
class ScratchFile {
public:
    // Without a name: it ends with the program, however that ends. folder empty: the system's for temporary files.
    static ScratchFile unnamed(std::filesystem::path folder);
    static ScratchFile at(const std::filesystem::path& path); // opened as it is, or made
    ScratchFile(ScratchFile&& other) noexcept;
    ScratchFile& operator=(ScratchFile&&) = delete;
    ~ScratchFile();

    // All throw Error.
    void write(std::uint64_t offset, std::span<const std::byte> bytes) const;
    void read(std::uint64_t offset, std::span<std::byte> bytes) const; // all of them, or it is an error
    void reserve(std::uint64_t bytes) const;                           // takes the room now; never cuts anything off
    void sync() const;
    std::uint64_t size() const;
    std::shared_ptr<const MappedFile> mapped() const; // as long as it is now

private:
    ScratchFile(std::filesystem::path path, int file);
    [[noreturn]] void failToWrite(int error) const;

    std::filesystem::path m_path; // of the file, or of its folder; for messages
    int m_file;
};

} // namespace quern
