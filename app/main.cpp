#include "app/mainwindow.h"
#include "app/theme.h"
#include "core/parallel.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QIcon>
#include <QTextStream>
#include <QTimer>

#include <cstdlib>

#ifdef Q_OS_UNIX
#include <unistd.h>
#endif

namespace {

// Threads that wait should sleep and leave the processor to the window. OpenMP reads the wish before main() runs, so
// the program starts itself once more with it.
void letIdleThreadsSleep([[maybe_unused]] char** argv)
{
#ifdef Q_OS_LINUX
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    execv("/proc/self/exe", argv); // returns only if it cannot be done; then idle threads spin for a moment
#endif
}

// Pictures of the window for the README: saved once everything has been measured and drawn.
void takeScreenshot(MainWindow& window, const QString& path)
{
    constexpr int kDrawing = 1500; // ms for plots that are computed in the background
    window.resize(1440, 900);
    const auto save = [&window, path] {
        const bool saved = window.grab().save(path, "PNG");
        if (!saved)
            QTextStream(stderr) << QCoreApplication::translate("main", "%1 cannot be written.").arg(path) << Qt::endl;
        QCoreApplication::exit(saved ? EXIT_SUCCESS : EXIT_FAILURE);
    };
    QObject::connect(window.analysis(), &Analysis::completed, &window, [&window, save] {
        window.selectWorst();
        QTimer::singleShot(kDrawing, &window, save);
    });
    QObject::connect(&window, &MainWindow::openFailed, &window, [](const QString& sentence) {
        QTextStream(stderr) << sentence << Qt::endl;
        QCoreApplication::exit(EXIT_FAILURE);
    });
}

} // namespace

int main(int argc, char** argv)
{
    letIdleThreadsSleep(argv);
    QApplication app(argc, argv);
    QApplication::setApplicationName(QStringLiteral("quern"));
    QApplication::setApplicationDisplayName(QStringLiteral("Quern"));
    QApplication::setApplicationVersion(QStringLiteral(QUERN_VERSION));
    QApplication::setWindowIcon(QIcon(QStringLiteral(":/icons/quern.svg")));

    QCommandLineParser parser;
    parser.setApplicationDescription(QCoreApplication::translate("main", "Workbench for quantizing language models."));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption reset(QStringLiteral("reset-settings"),
                                   QCoreApplication::translate("main", "Start with default settings and layout."));
    const QCommandLineOption screenshot(
        QStringLiteral("screenshot"),
        QCoreApplication::translate("main", "Save a picture of the window as PNG once all is measured, and exit."),
        QStringLiteral("file"));
    const QCommandLineOption theme(QStringLiteral("theme"),
                                   QCoreApplication::translate("main", "system, light or dark, for this time."),
                                   QStringLiteral("name"));
    parser.addOptions({reset, screenshot, theme});
    parser.addPositionalArgument(
        QStringLiteral("model"),
        QCoreApplication::translate("main", "GGUF file, model folder or safetensors file; the demo if there is none."),
        QStringLiteral("[model]"));
    parser.process(app);
    if (parser.positionalArguments().size() > 1)
        parser.showHelp(2);

    Settings settings;
    if (parser.isSet(reset))
        settings.clear();
    applyTheme(parser.isSet(theme) ? themeNamed(parser.value(theme)) : settings.theme());
    quern::setThreads(settings.threads());

    MainWindow window(&settings);
    if (parser.isSet(screenshot))
        takeScreenshot(window, parser.value(screenshot));
    window.show();
    if (const QStringList models = parser.positionalArguments(); models.isEmpty())
        window.openDemo();
    else
        window.openModel(QDir::current().absoluteFilePath(models.front()));
    return QApplication::exec();
}
