#include "app/demo.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>

QString demoPath()
{
    const QDir program(QCoreApplication::applicationDirPath());
    for (const QString& folder : {program.filePath(QStringLiteral("../share/quern/demo")),
                                  QStringLiteral(QUERN_SOURCE_DIR "/resources/demo/demo")})
        if (QFileInfo::exists(folder + QStringLiteral("/config.json")))
            return QDir::cleanPath(QFileInfo(folder).absoluteFilePath());
    return {};
}
