#pragma once

#include <QStringList>

// Results of long work, kept in one folder from one start to the next: files named KIND-MODEL-KEY.SUFFIX, by what is in
// the model and by what was asked for, and folders of work that was interrupted. Any thread.
namespace cache {

constexpr qint64 kMost = qint64 {1} << 30; // bytes that trim leaves, if its callers do not say

QString key(const QByteArray& content);                              // a short hash, for names
QStringList newest(const QString& folder, const QString& beginning); // paths of files whose names begin so
void touch(const QString& path);                                     // makes it the newest
qint64 bytes(const QString& folder);
void trim(const QString& folder, qint64 most = kMost); // removes the oldest until no more than that is left
void clear(const QString& folder);

} // namespace cache
