#pragma once

#include "core/model.h"

#include <atomic>

namespace quern {

// A file mapped for reading. If another program cuts the file short while it is mapped, the lost bytes read as zeros
// and check() throws from then on; without this the kernel would end the program (SIGBUS). Thread-safe.
// Only the program's own reads are guarded: a system call that is handed lost bytes fails with EFAULT.
class MappedFile final : public Storage {
public:
    static std::shared_ptr<const MappedFile>
    open(const std::filesystem::path& path); // throws Error; folders are refused
    ~MappedFile() override;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return m_bytes; }
    const std::filesystem::path& path() const { return m_path; }
    void check() const override;

    // By default the system reads on generously where a byte is asked for. For looking at small pieces only:
    void expectPieces(bool pieces) const;                // true: nothing more than asked for; false: as by default
    static void fetch(std::span<const std::byte> piece); // begins to read a piece of any mapping; does not wait

private:
    struct Region; // what the SIGBUS handler sees of a mapping

    MappedFile(std::filesystem::path path, std::span<const std::byte> bytes, int file);
    static void install();

    std::filesystem::path m_path;
    std::span<const std::byte> m_bytes;
    int m_file;                 // kept open: tells whether the file has shrunk, even after it was renamed or deleted
    Region* m_region = nullptr; // null for an empty file
};

} // namespace quern
