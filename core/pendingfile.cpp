#include "core/gguf.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace quern {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void failToWrite(const fs::path& path, int error)
{
    if (error == ENOSPC || error == EDQUOT)
        fail(QUERN_TEXT("core", "%1 cannot be written: the disk is full or a quota is used up."), path.string());
    fail(QUERN_TEXT("core", "%1 cannot be written: %2."), path.string(), std::strerror(error));
}

fs::path folderOf(const fs::path& file)
{
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// The file behind symbolic links: it is replaced, the links stay.
fs::path withoutLinks(fs::path target)
{
    constexpr int kMostLinks = 40; // as the kernel
    std::error_code ignored;
    for (int i = 0; i < kMostLinks && fs::is_symlink(target, ignored); ++i) {
        const fs::path next = fs::read_symlink(target, ignored);
        target = next.is_absolute() ? next : target.parent_path() / next;
    }
    return target;
}

void checkTarget(const fs::path& target, bool overwrite)
{
    std::error_code ignored;
    const fs::path folder = folderOf(target);
    if (!target.has_filename())
        fail(QUERN_TEXT("core", "%1 is a folder; the name of a file is expected."), target.string());
    if (!fs::is_directory(folder, ignored))
        fail(QUERN_TEXT("core", "%1 cannot be written: the folder %2 does not exist."), target.string(),
             folder.string());
    const fs::file_status status = fs::symlink_status(target, ignored);
    if (!fs::exists(status))
        return;
    if (!fs::is_regular_file(status))
        fail(QUERN_TEXT("core", "%1 is no ordinary file and is not replaced."), target.string());
    if (!overwrite)
        fail(QUERN_TEXT("core", "%1 exists already. Choose another name, or allow it to be replaced."),
             target.string());
}

void checkSpace(const fs::path& folder, std::uint64_t bytes)
{
    struct statvfs disk { };
    if (statvfs(folder.c_str(), &disk) != 0)
        return; // then the disk tells when it is full
    const std::uint64_t available = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (bytes > available)
        fail(QUERN_TEXT("core", "The file takes %1 bytes, but only %2 are free in %3."), bytes, available,
             folder.string());
}

bool isAt(int file, const fs::path& path)
{
    struct stat opened {
    }, there {};
    return fstat(file, &opened) == 0 && lstat(path.c_str(), &there) == 0 && opened.st_dev == there.st_dev
        && opened.st_ino == there.st_ino;
}

// A lock says that a .part file is being written; where locks do not work, no two exports are told apart.
bool locked(int file)
{
    return flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

// Removes what a killed run has left; false if somebody is still writing it.
bool removeStale(const fs::path& part)
{
    const int file = ::open(part.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT;
    const bool stale = locked(file);
    if (stale && isAt(file, part))
        ::unlink(part.c_str());
    ::close(file);
    return stale;
}

// Creates the file, empty and locked; -1 if another export has it.
int created(const fs::path& part)
{
    constexpr int kTries = 16; // others may create and remove the same name meanwhile
    for (int i = 0; i < kTries; ++i) {
        const int file = ::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (file < 0 && errno != EEXIST)
            failToWrite(part, errno);
        if (file < 0 && !removeStale(part))
            return -1;
        if (file >= 0 && locked(file) && isAt(file, part))
            return file;
        if (file >= 0)
            ::close(file);
    }
    return -1;
}

// The room is taken at once, so that a disk that fills up does not end a long run. Fills the file with zeros.
void reserve(int file, const fs::path& part, std::uint64_t bytes)
{
    if (bytes == 0)
        return;
    const auto size = static_cast<off_t>(bytes);
    if (fallocate(file, 0, 0, size) == 0)
        return;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        failToWrite(part, errno);
    if (ftruncate(file, size) != 0)
        failToWrite(part, errno);
}

} // namespace

PendingFile::PendingFile(fs::path target, std::uint64_t bytes, bool overwrite)
    : m_target(withoutLinks(std::move(target)))
    , m_overwrite(overwrite)
{
    checkTarget(m_target, overwrite);
    constexpr int kMostExports = 99; // of one file at the same time
    for (int i = 1; i <= kMostExports && m_file < 0; ++i) {
        m_part = m_target;
        m_part += i == 1 ? std::string(".part") : '.' + std::to_string(i) + ".part";
        m_file = created(m_part);
    }
    if (m_file < 0)
        fail(QUERN_TEXT("core", "%1 is being written by another export."), m_target.string());
    try {
        checkSpace(folderOf(m_target), bytes);
        reserve(m_file, m_part, bytes);
    } catch (...) {
        drop();
        throw;
    }
}

PendingFile::~PendingFile()
{
    drop();
}

void PendingFile::drop()
{
    if (m_file < 0)
        return;
    if (isAt(m_file, m_part))
        ::unlink(m_part.c_str());
    ::close(m_file);
    m_file = -1;
}

void PendingFile::write(std::uint64_t offset, std::span<const std::byte> bytes)
{
    const auto first = static_cast<off_t>(offset), size = static_cast<off_t>(bytes.size());
    while (!bytes.empty()) {
        const ssize_t n = pwrite(m_file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            failToWrite(m_part, n < 0 ? errno : EIO);
        offset += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    // The disk writes while the next weights are computed, not all of it at the end. Advice only.
    sync_file_range(m_file, first, size, SYNC_FILE_RANGE_WRITE);
}

void PendingFile::commit()
{
    struct stat replaced { };
    if (m_overwrite && stat(m_target.c_str(), &replaced) == 0)
        fchmod(m_file, replaced.st_mode & 07777);
    if (fsync(m_file) != 0)
        failToWrite(m_part, errno);
    // What has appeared under the name meanwhile stays, unless it may be replaced.
    const unsigned flags = m_overwrite ? 0 : RENAME_NOREPLACE;
    int result = renameat2(AT_FDCWD, m_part.c_str(), AT_FDCWD, m_target.c_str(), flags);
    if (result != 0 && errno == EINVAL) { // not on this file system
        checkTarget(m_target, m_overwrite);
        result = ::rename(m_part.c_str(), m_target.c_str());
    }
    if (result != 0)
        failToWrite(m_target, errno);
    ::close(m_file);
    m_file = -1;
    const int folder = ::open(folderOf(m_target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder); // the name lasts; the file system may not offer more
        ::close(folder);
    }
}

} // namespace quern
