#pragma once

#include <QFile>

#include <filesystem>

// A path as core wants it.
inline std::filesystem::path nativePath(const QString& path)
{
    return std::filesystem::path(QFile::encodeName(path).toStdString());
}
