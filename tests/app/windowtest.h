#pragma once

#include "app/demo.h"
#include "app/mainwindow.h"
#include "tests/strict.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QtTest>

constexpr int kLong = 120000; // ms: for work under sanitizers on a busy machine

// A window with settings of its own, and what tests of its jobs do with it.
class WindowTest : public QObject {
protected:
    static void prepare()
    {
        QVERIFY2(!demoPath().isEmpty(), "the demo model is missing from resources/demo/demo");
        QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
    }

    void open()
    {
        strict::failOnWarnings();
        m_folder = std::make_unique<QTemporaryDir>();
        m_settings = std::make_unique<Settings>(m_folder->filePath("settings.ini"));
        m_settings->setPreset("Q4_0"); // quick to quantize
        show();
    }
    void show()
    {
        m_window = std::make_unique<MainWindow>(m_settings.get());
        m_window->resize(1280, 720);
        m_window->show();
    }
    void close()
    {
        m_window.reset();
        m_settings.reset();
        m_folder.reset();
    }

    void openAndWait(const QString& path)
    {
        QSignalSpy examined(m_window.get(), &MainWindow::examined);
        m_window->openModel(path);
        QVERIFY(examined.wait(kLong));
        m_window->analysis()->stop(); // not what is tested here
    }
    void evaluateAndWait(const TextRun& run)
    {
        QSignalSpy changed(m_window->session(), &Session::evaluationChanged);
        m_window->evaluate(run);
        QVERIFY(changed.wait(kLong));
    }
    static TextRun shortRun() { return {demoPath() + "/evaluation.txt", "evaluation.txt", 32, 2}; }

    QAction* actionNamed(const QString& name) const
    {
        for (QAction* action : m_window->findChildren<QAction*>())
            if (QString(action->text()).remove(u'&').remove(u'…') == name)
                return action;
        return nullptr;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<Settings> m_settings;
    std::unique_ptr<MainWindow> m_window;
};
