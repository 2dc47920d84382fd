#include "app/cache.h"

#include <QCryptographicHash>
#include <QDateTime>
#include <QDir>
#include <QDirIterator>
#include <QFile>

namespace {

// Files, and folders of work that was interrupted; the newest first.
QFileInfoList entries(const QString& folder, const QString& beginning)
{
    return QDir(folder).entryInfoList({beginning + QStringLiteral("*")},
                                      QDir::Files | QDir::Dirs | QDir::NoDotAndDotDot, QDir::Time);
}

qint64 bytesOf(const QFileInfo& entry)
{
    if (!entry.isDir())
        return entry.size();
    qint64 sum = 0;
    QDirIterator inside(entry.filePath(), QDir::Files, QDirIterator::Subdirectories);
    while (inside.hasNext()) {
        inside.next();
        sum += inside.fileInfo().size();
    }
    return sum;
}

} // namespace

namespace cache {

QString key(const QByteArray& content)
{
    constexpr int kCharacters = 24;
    return QString::fromLatin1(QCryptographicHash::hash(content, QCryptographicHash::Sha256).toHex().left(kCharacters));
}

QStringList newest(const QString& folder, const QString& beginning)
{
    QStringList paths;
    for (const QFileInfo& entry : entries(folder, beginning))
        if (entry.isFile())
            paths << entry.filePath();
    return paths;
}

void touch(const QString& path)
{
    QFile file(path);
    if (file.open(QIODevice::ReadWrite))
        file.setFileTime(QDateTime::currentDateTime(), QFileDevice::FileModificationTime);
}

qint64 bytes(const QString& folder)
{
    qint64 sum = 0;
    for (const QFileInfo& entry : entries(folder, {}))
        sum += bytesOf(entry);
    return sum;
}

void trim(const QString& folder, qint64 most)
{
    qint64 kept = 0;
    for (const QFileInfo& entry : entries(folder, {}))
        if (const qint64 size = bytesOf(entry); kept + size <= most || (kept == 0 && most >= 0))
            kept += size;
        else if (entry.isDir())
            QDir(entry.filePath()).removeRecursively();
        else
            QFile::remove(entry.filePath());
}

void clear(const QString& folder)
{
    trim(folder, -1);
}

} // namespace cache
