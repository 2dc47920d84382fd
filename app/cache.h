#pragma once

#include "app/paths.h"
#include "core/error.h"

#include <QStringList>

#include <optional>

// Results of long work, kept in one folder from one start to the next: files named KIND-MODEL-KEY.SUFFIX, by what is in
// the model and by what was asked for, and folders of work that was interrupted. Any thread.
namespace cache {

constexpr qint64 kMost = qint64 {1} << 30; // bytes that trim leaves, if its callers do not say

QString key(const QByteArray& content);                              // a short hash, for names
QStringList newest(const QString& folder, const QString& beginning); // paths of files whose names begin so
void touch(const QString& path);                                     // makes it the newest
qint64 bytes(const QString& folder);
// Removes the oldest until no more than that is left; the newest stays, whatever its size, unless most is negative.
void trim(const QString& folder, qint64 most = kMost);
void clear(const QString& folder);

// What `read` makes of a file's std::filesystem::path; none if it is absent or damaged. Makes it the newest; removes
// a damaged one.
template <typename Read>
auto read(const QString& path, const Read& read) -> std::optional<decltype(read(nativePath(path)))>
{
    if (!QFile::exists(path))
        return std::nullopt;
    try {
        auto value = read(nativePath(path));
        touch(path);
        return value;
    } catch (const quern::Error&) {
        QFile::remove(path);
        return std::nullopt;
    }
}

// The first of them that can be read.
template <typename Read>
auto readNewest(const QString& folder, const QString& beginning, const Read& read)
    -> std::optional<decltype(read(nativePath(folder)))>
{
    for (const QString& path : newest(folder, beginning))
        if (auto value = cache::read(path, read))
            return value;
    return std::nullopt;
}

} // namespace cache
