#pragma once

#include <QObject>
#include <QSettings>
#include <QStringList>

enum class Theme { System, Light, Dark };
Theme themeNamed(const QString& name); // "light"; System for what is none

// What the program remembers from one start to the next, in an INI file. GUI thread only.
class Settings : public QObject {
    Q_OBJECT

public:
    explicit Settings(QObject* parent = nullptr);                      // the user's file
    explicit Settings(const QString& path, QObject* parent = nullptr); // for tests

    QStringList recentModels() const; // newest first
    void addRecentModel(const QString& path);
    void clearRecentModels();

    Theme theme() const;
    void setTheme(Theme theme);
    int threads() const; // 0: as many as the machine has
    void setThreads(int threads);
    QString folder() const; // where the last file was chosen
    void setFolder(const QString& folder);
    QString preset() const; // name of the preset that new models begin with
    void setPreset(const QString& name);

    QString cacheFolder() const; // beside the file of settings; need not exist

    // The window's place and docks, under the version of the layout they belong to; empty if saved by another version.
    QByteArray geometry() const;
    QByteArray layout() const;
    void setLayout(const QByteArray& geometry, const QByteArray& layout);

    void clear();

signals:
    void recentModelsChanged();
    void themeChanged();

private:
    QSettings m_store;
};
