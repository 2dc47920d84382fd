#pragma once

#include "core/model.h"

#include <atomic>

namespace quern {

// A file mapped for reading. If another program cuts the file short while it is mapped, the lost bytes read as zeros
// and check() throws from then on; without this the kernel would end the program (SIGBUS). Thread-safe.
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

private:
    MappedFile(std::filesystem::path path, std::span<const std::byte> bytes);

    std::filesystem::path m_path;
    std::span<const std::byte> m_bytes;
    std::shared_ptr<std::atomic<bool>> m_lost; // set by the SIGBUS handler
};

} // namespace quern
