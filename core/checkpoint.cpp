#include "core/checkpoint.h"

#include "core/error.h"
#include "core/gguf.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

// The folder holds `hidden-0` and `hidden-1`, floats; `block-N.gguf`, a calibration each; and `state`: the line below,
// the fingerprint, the number of finished blocks. `state` is replaced last, so it never promises too much.
namespace quern {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTitle = "quern calibration checkpoint 1";
constexpr std::string_view kBlock = "block-", kSuffix = ".gguf";

int locked(const fs::path& folder)
{
    std::error_code error;
    fs::create_directory(folder, error);
    const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        fail(QUERN_TEXT("core", "The folder %1, for going on after an interruption, cannot be made: %2."),
             folder.string(), std::string_view(std::strerror(errno)));
    if (flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(file);
        fail(QUERN_TEXT("core", "Another calibration is at work in %1. Wait for it, or choose another output."),
             folder.string());
    }
    return file;
}

bool belongs(const std::string& name)
{
    return name == "state" || name == "state.part" || name == "hidden-0" || name == "hidden-1"
        || (name.starts_with(kBlock) && (name.ends_with(kSuffix) || name.ends_with(".part")));
}

// The state first, so that nothing is promised that is gone. lock: the opened folder.
void clear(const fs::path& folder, int lock)
{
    std::error_code none;
    fs::remove(folder / "state", none);
    fsync(lock);
    for (const auto& entry : fs::directory_iterator(folder))
        if (belongs(entry.path().filename().string()))
            fs::remove(entry.path(), none);
}

std::string contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

Checkpoint::Checkpoint(fs::path folder, std::string fingerprint, std::uint64_t hiddenBytes)
    : m_folder(std::move(folder))
    , m_fingerprint(std::move(fingerprint))
    , m_lock(locked(m_folder))
{
    try {
        for (const auto& entry : fs::directory_iterator(m_folder))
            if (!belongs(entry.path().filename().string()))
                fail(QUERN_TEXT("core", "%1 is to hold a calibration's checkpoint, but it holds %2. Move that away."),
                     m_folder.string(), entry.path().filename().string());
        m_finished = finishedBefore(hiddenBytes);
        if (m_finished == 0)
            clear(m_folder, m_lock);
        for (const char* name : {"hidden-0", "hidden-1"}) {
            m_hidden.push_back(ScratchFile::at(m_folder / name));
            m_hidden.back().reserve(hiddenBytes);
        }
    } catch (...) {
        close(m_lock);
        throw;
    }
}

Checkpoint::~Checkpoint()
{
    close(m_lock);
}

const ScratchFile& Checkpoint::hidden(long block) const
{
    return m_hidden[static_cast<std::size_t>(block % 2)];
}

fs::path Checkpoint::blockFile(long block) const
{
    return m_folder / (std::string(kBlock) + std::to_string(block) + std::string(kSuffix));
}

Calibration Checkpoint::block(long block) const
{
    try {
        return readImatrix(blockFile(block));
    } catch (const Error& error) {
        fail(QUERN_TEXT("core",
                        "The interrupted calibration cannot be taken up; remove the folder %1 to begin anew. %2"),
             m_folder.string(), std::string_view(error.what()));
    }
}

// How many blocks of this run are there, whole; 0 if anything is amiss.
long Checkpoint::finishedBefore(std::uint64_t hiddenBytes) const
{
    const std::string state = contents(m_folder / "state");
    const std::string expected = std::string(kTitle) + '\n' + m_fingerprint + '\n';
    if (!state.starts_with(expected))
        return 0;
    long finished = 0;
    const char* end = state.data() + state.size();
    const auto [rest, error] = std::from_chars(state.data() + expected.size(), end, finished);
    if (error != std::errc() || std::string_view(rest, end) != "\n" || finished < 1)
        return 0;
    std::error_code none;
    for (long i = 0; i < finished; ++i)
        if (!fs::is_regular_file(blockFile(i), none))
            return 0;
    if (fs::file_size(m_folder / (finished % 2 == 0 ? "hidden-0" : "hidden-1"), none) != hiddenBytes || none)
        return 0;
    return finished;
}

void Checkpoint::finish(long block, const Calibration& ofBlock, Progress& progress)
{
    writeCalibration(ofBlock, blockFile(block), true, progress);
    hidden(block + 1).sync();
    m_finished = block + 1;
    writeState();
}

void Checkpoint::writeState()
{
    const std::string state = std::string(kTitle) + '\n' + m_fingerprint + '\n' + std::to_string(m_finished) + '\n';
    PendingFile file(m_folder / "state", state.size(), true);
    file.write(0, std::as_bytes(std::span(state)));
    file.commit();
}

void Checkpoint::remove(const fs::path& folder)
{
    const int lock = locked(folder);
    clear(folder, lock);
    std::error_code none;
    fs::remove(folder, none);
    close(lock);
}

} // namespace quern
