#pragma once

// For tests that draw: a warning of Qt or QCustomPlot is a failure, unless QTest::ignoreMessage() expects it.

#include <QRegularExpression>
#include <QTest>

namespace strict {

inline QtMessageHandler& testHandler()
{
    static QtMessageHandler handler = nullptr;
    return handler;
}

// QCustomPlot complains by qDebug(), naming the function.
inline void warnOfPlots(QtMsgType type, const QMessageLogContext& context, const QString& message)
{
    static const QRegularExpression plots(QStringLiteral("\\b(QCP\\w*|QCustomPlot)::"));
    const bool complaint = type == QtDebugMsg && message.contains(plots);
    testHandler()(complaint ? QtWarningMsg : type, context, message);
}

// To be called from init(): QTest forgets it after every test function.
inline void failOnWarnings()
{
    if (!testHandler())
        testHandler() = qInstallMessageHandler(warnOfPlots);
    // The offscreen platform says at every resize what it cannot do.
    QTest::failOnWarning(QRegularExpression(QStringLiteral("^(?!This plugin does not support)")));
}

} // namespace strict
