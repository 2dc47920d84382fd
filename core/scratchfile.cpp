#include "core/scratchfile.h"

#include "core/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quern {

ScratchFile::ScratchFile(std::filesystem::path path, int file)
    : m_path(std::move(path))
    , m_file(file)
{
}

ScratchFile ScratchFile::unnamed(std::filesystem::path folder)
{
    if (folder.empty())
        folder = std::filesystem::temp_directory_path();
    const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0)
        fail(QUERN_TEXT("core", "No temporary file can be made in %1: %2."), folder.string(),
             std::string_view(std::strerror(errno)));
    return {std::move(folder), file};
}

ScratchFile ScratchFile::at(const std::filesystem::path& path)
{
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        fail(QUERN_TEXT("core", "%1 cannot be made: %2."), path.string(), std::string_view(std::strerror(errno)));
    return {path, file};
}

ScratchFile::ScratchFile(ScratchFile&& other) noexcept
    : m_path(std::move(other.m_path))
    , m_file(std::exchange(other.m_file, -1))
{
}

ScratchFile::~ScratchFile()
{
    if (m_file >= 0)
        close(m_file);
}

void ScratchFile::failToWrite(int error) const
{
    if (error == ENOSPC || error == EDQUOT)
        fail(QUERN_TEXT("core", "The disk of %1 is full, or a quota is used up: there is no room for temporary data."),
             m_path.string());
    fail(QUERN_TEXT("core", "Temporary data in %1 cannot be written: %2."), m_path.string(),
         std::string_view(std::strerror(error)));
}

void ScratchFile::write(std::uint64_t offset, std::span<const std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t n = pwrite(m_file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            failToWrite(n < 0 ? errno : EIO);
        offset += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

void ScratchFile::read(std::uint64_t offset, std::span<std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t n = pread(m_file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail(QUERN_TEXT("core", "Temporary data in %1 cannot be read at byte %2: %3."), m_path.string(), offset,
                 std::string_view(n < 0 ? std::strerror(errno) : "the file ends there"));
        offset += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

void ScratchFile::reserve(std::uint64_t bytes) const
{
    if (bytes == 0 || fallocate(m_file, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0)
        return;
    if (errno != EOPNOTSUPP && errno != ENOSYS) // then the disk tells when it is full
        failToWrite(errno);
}

void ScratchFile::sync() const
{
    if (fsync(m_file) != 0)
        failToWrite(errno);
}

std::uint64_t ScratchFile::size() const
{
    struct stat status { };
    return fstat(m_file, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

std::shared_ptr<const MappedFile> ScratchFile::mapped() const
{
    return MappedFile::open("/proc/self/fd/" + std::to_string(m_file));
}

} // namespace quern
