#include "core/mappedfile.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quern {

// A list that only grows, so that a signal handler can walk it without a lock. Regions are reused, never freed.
struct MappedFile::Region {
    std::atomic<std::uintptr_t> begin {0};
    std::atomic<std::uintptr_t> end {0}; // 0: free
    std::atomic<bool> taken {true};
    std::atomic<bool> lost {false};
    Region* next = nullptr;

    static std::atomic<Region*> first;
    static struct sigaction previous;

    static Region* add(std::span<const std::byte> bytes);
    static Region* unused();
    static Region* holding(std::uintptr_t address);
    static void onBusError(int signal, siginfo_t* info, void* context);
    static void passOn(int signal, siginfo_t* info, void* context);
};

std::atomic<MappedFile::Region*> MappedFile::Region::first {nullptr};
struct sigaction MappedFile::Region::previous { };

MappedFile::Region* MappedFile::Region::unused()
{
    for (Region* region = first.load(); region; region = region->next)
        if (!region->taken.exchange(true))
            return region;
    auto* region = new Region;
    region->next = first.load();
    while (!first.compare_exchange_weak(region->next, region)) { }
    return region;
}

MappedFile::Region* MappedFile::Region::add(std::span<const std::byte> bytes)
{
    Region* region = unused();
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    region->lost = false;
    region->begin = begin;
    region->end = begin + bytes.size();
    return region;
}

MappedFile::Region* MappedFile::Region::holding(std::uintptr_t address)
{
    for (Region* region = first.load(); region; region = region->next)
        if (region->begin <= address && address < region->end)
            return region;
    return nullptr;
}

// Runs within a signal: only atomics and system calls. What is lost reaches to the end of the file, so all of it is
// replaced at once.
void MappedFile::Region::onBusError(int signal, siginfo_t* info, void* context)
{
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    Region* region = info->si_code == BUS_ADRERR ? holding(address) : nullptr;
    if (!region)
        return passOn(signal, info, context);
    const int error = errno;
    const auto page = address & ~static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE) - 1);
    void* zeros
        = mmap(reinterpret_cast<void*>(page), region->end - page, PROT_READ, // NOLINT(performance-no-int-to-ptr)
               MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED)
        return passOn(signal, info, context);
    region->lost = true;
    errno = error;
}

void MappedFile::Region::passOn(int signal, siginfo_t* info, void* context)
{
    if (previous.sa_flags & SA_SIGINFO)
        return previous.sa_sigaction(signal, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        return previous.sa_handler(signal);
    ::signal(signal, SIG_DFL); // the access is repeated on return and ends the program as it would have without us
    if (info->si_code <= 0)    // sent by a program: nothing would be repeated
        raise(signal);
}

void MappedFile::install()
{
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action { };
        action.sa_sigaction = &Region::onBusError;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        sigaction(SIGBUS, &action, &Region::previous);
    });
}

namespace {

[[noreturn]] void failToRead(const std::filesystem::path& path, int error)
{
    fail(QUERN_TEXT("core", "%1 cannot be read: %2."), path.string(), std::strerror(error));
}

int opened(const std::filesystem::path& path, struct stat& status)
{
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe without a writer would block
    if (file < 0 || fstat(file, &status) != 0) {
        const int error = errno;
        if (file >= 0)
            ::close(file);
        failToRead(path, error);
    }
    if (!S_ISREG(status.st_mode)) {
        ::close(file);
        if (S_ISDIR(status.st_mode))
            fail(QUERN_TEXT("core", "%1 is a folder; a file is expected there."), path.string());
        fail(QUERN_TEXT("core", "%1 is no ordinary file and cannot be mapped."), path.string());
    }
    return file;
}

} // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path)
{
    install();
    struct stat status { };
    const int file = opened(path, status);
    const auto size = static_cast<std::size_t>(status.st_size);
    const void* bytes = nullptr;
    if (size > 0) {
        bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED) {
            const int error = errno;
            ::close(file);
            failToRead(path, error);
        }
    }
    return std::shared_ptr<const MappedFile>(new MappedFile(path, {static_cast<const std::byte*>(bytes), size}, file));
}

MappedFile::MappedFile(std::filesystem::path path, std::span<const std::byte> bytes, int file)
    : m_path(std::move(path))
    , m_bytes(bytes)
    , m_file(file)
    , m_region(bytes.empty() ? nullptr : Region::add(bytes))
{
}

MappedFile::~MappedFile()
{
    if (m_region) {
        m_region->end = 0;
        m_region->taken = false;
        munmap(const_cast<std::byte*>(m_bytes.data()), m_bytes.size());
    }
    ::close(m_file);
}

void MappedFile::expectPieces(bool pieces) const
{
    if (!m_bytes.empty()) // advice only: nothing is lost where it is not taken
        madvise(const_cast<std::byte*>(m_bytes.data()), m_bytes.size(), pieces ? MADV_RANDOM : MADV_NORMAL);
}

void MappedFile::fetch(std::span<const std::byte> piece)
{
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::size_t before = reinterpret_cast<std::uintptr_t>(piece.data()) % page;
    madvise(const_cast<std::byte*>(piece.data()) - before, piece.size() + before, MADV_WILLNEED);
}

void MappedFile::check() const
{
    // A cut within the last page raises no signal, hence the size.
    struct stat status { };
    const bool shorter = fstat(m_file, &status) == 0 && static_cast<std::size_t>(status.st_size) < m_bytes.size();
    if (shorter || (m_region && m_region->lost))
        fail(QUERN_TEXT("core",
                        "%1 had %2 bytes when it was opened and can no longer be read in full. Another program may "
                        "have changed it; open it again."),
             m_path.string(), m_bytes.size());
}

} // namespace quern
