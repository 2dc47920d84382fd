#pragma once

#include "core/error.h"

#include <QString>
#include <QTemporaryDir>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include <sys/mount.h>

// What tests of files share.
namespace testfiles {

namespace fs = std::filesystem;

// A folder that is empty again after renew(), which a test calls in init(); gone when it ends.
class FreshFolder {
public:
    FreshFolder() { renew(); }
    void renew()
    {
        m_temporary = std::make_unique<QTemporaryDir>();
        m_path = m_temporary->path().toStdString();
    }
    operator const fs::path&() const { return m_path; }
    fs::path operator/(const fs::path& name) const { return m_path / name; }
    long entries() const { return std::distance(fs::directory_iterator(m_path), {}); }

private:
    std::unique_ptr<QTemporaryDir> m_temporary;
    fs::path m_path;
};

// A small file system of its own in a folder, for as long as it lives. Needs the right to mount.
class Mount {
public:
    Mount(fs::path folder, unsigned long flags, const char* options)
        : m_folder(std::move(folder))
        , m_there(mount("tmpfs", m_folder.c_str(), "tmpfs", flags, options) == 0)
    {
    }
    ~Mount()
    {
        if (m_there)
            umount2(m_folder.c_str(), MNT_DETACH);
    }
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;
    explicit operator bool() const { return m_there; }

private:
    fs::path m_folder;
    bool m_there;
};

inline std::string contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void put(const fs::path& path, std::string_view bytes)
{
    std::ofstream(path, std::ios::binary) << bytes;
}

// The message of the error that `work` ends in; empty if it ends in none.
template <typename Work>
QString complaint(Work work)
{
    try {
        work();
        return {};
    } catch (const quern::Error& error) {
        return error.what();
    }
}

} // namespace testfiles
