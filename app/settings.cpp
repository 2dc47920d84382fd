#include "app/settings.h"

#include "core/preset.h"

#include <QDir>
#include <QFileInfo>

#include <algorithm>

namespace {

constexpr int kRecent = 10;
constexpr int kLayoutVersion = 2; // raise when docks are added, renamed or removed

constexpr const char* kThemes[] = {"system", "light", "dark"};
const QString kDefaultPreset = QStringLiteral("Q4_K_M");

} // namespace

Theme themeNamed(const QString& name)
{
    const auto it = std::ranges::find(kThemes, name);
    return it == std::end(kThemes) ? Theme::System : static_cast<Theme>(it - std::begin(kThemes));
}

Settings::Settings(QObject* parent)
    : QObject(parent)
    , m_store(QSettings::IniFormat, QSettings::UserScope, QStringLiteral("quern"), QStringLiteral("quern"))
{
}

Settings::Settings(const QString& path, QObject* parent)
    : QObject(parent)
    , m_store(path, QSettings::IniFormat)
{
}

QStringList Settings::recentModels() const
{
    return m_store.value("recent/models").toStringList();
}

void Settings::addRecentModel(const QString& path)
{
    QStringList paths = recentModels();
    paths.removeAll(path);
    paths.prepend(path);
    m_store.setValue("recent/models", QStringList(paths.mid(0, kRecent)));
    emit recentModelsChanged();
}

void Settings::clearRecentModels()
{
    m_store.remove("recent/models");
    emit recentModelsChanged();
}

Theme Settings::theme() const
{
    return themeNamed(m_store.value("theme").toString());
}

void Settings::setTheme(Theme theme)
{
    m_store.setValue("theme", QString::fromLatin1(kThemes[static_cast<int>(theme)]));
    emit themeChanged();
}

int Settings::threads() const
{
    return std::clamp(m_store.value("threads", 0).toInt(), 0, 1024);
}

void Settings::setThreads(int threads)
{
    m_store.setValue("threads", threads);
}

QString Settings::folder() const
{
    return m_store.value("folder").toString();
}

void Settings::setFolder(const QString& folder)
{
    m_store.setValue("folder", folder);
}

QString Settings::preset() const
{
    const QString name = m_store.value("preset", kDefaultPreset).toString();
    return quern::findPreset(name.toStdString()) ? name : kDefaultPreset;
}

void Settings::setPreset(const QString& name)
{
    m_store.setValue("preset", name);
}

QString Settings::cacheFolder() const
{
    return QFileInfo(m_store.fileName()).dir().filePath(QStringLiteral("cache"));
}

QByteArray Settings::geometry() const
{
    return m_store.value("window/geometry").toByteArray();
}

QByteArray Settings::layout() const
{
    return m_store.value("window/version").toInt() == kLayoutVersion ? m_store.value("window/layout").toByteArray()
                                                                     : QByteArray();
}

void Settings::setLayout(const QByteArray& geometry, const QByteArray& layout)
{
    m_store.setValue("window/version", kLayoutVersion);
    m_store.setValue("window/geometry", geometry);
    m_store.setValue("window/layout", layout);
}

void Settings::clear()
{
    m_store.clear();
    emit recentModelsChanged();
    emit themeChanged();
}
