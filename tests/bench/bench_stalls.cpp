// How long the window's thread is busy at a time, while a model is opened, looked at, tuned and measured.
// Usage: bench_stalls MODEL [SECONDS-PER-PHASE]. Not a Google Benchmark: what counts is the longest turn, not the mean.
#include "app/mainwindow.h"

#include <QAbstractSlider>
#include <QApplication>
#include <QComboBox>
#include <QDockWidget>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QMetaEnum>
#include <QTemporaryDir>
#include <QTimer>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>

namespace {

double wallTime()
{
    timespec now {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

// Of this thread alone, so that neighbours on a busy machine do not count.
double threadTime()
{
    timespec now {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

struct Turn { // one event, from its delivery to its end; milliseconds
    double wall = 0, thread = 0;
    QByteArray what;
};

double largest(const std::vector<Turn>& turns, double Turn::*time, double share)
{
    std::vector<double> times;
    for (const Turn& turn : turns)
        times.push_back(turn.*time);
    std::ranges::sort(times);
    return times.empty() ? 0 : times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
}

class Program final : public QApplication {
public:
    using QApplication::QApplication;

    bool notify(QObject* receiver, QEvent* event) override
    {
        if (m_depth > 0)
            return QApplication::notify(receiver, event);
        const QByteArray what = receiver->metaObject()->className() + QByteArray(" ")
            + QMetaEnum::fromType<QEvent::Type>().valueToKey(event->type());
        ++m_depth;
        const double wall = wallTime(), thread = threadTime();
        const bool handled = QApplication::notify(receiver, event);
        turns.push_back({wallTime() - wall, threadTime() - thread, what});
        --m_depth;
        return handled;
    }

    std::vector<Turn> turns;

private:
    int m_depth = 0;
};

class Script {
public:
    Script(Program& program, int milliseconds)
        : m_program(program)
        , m_milliseconds(milliseconds)
    {
        std::printf("%-34s %8s %9s %9s %9s %9s  %s\n", "", "turns", "p99 wall", "max wall", "p99 cpu", "max cpu", "of");
    }

    // Calls act as often as a hand would, and lets the window work in between.
    void play(const char* phase, int interval, const std::function<void(int)>& act)
    {
        m_program.turns.clear();
        QEventLoop loop;
        QTimer timer;
        int count = 0;
        QObject::connect(&timer, &QTimer::timeout, [&] { act(count++); });
        timer.start(interval);
        QTimer::singleShot(m_milliseconds, &loop, &QEventLoop::quit);
        loop.exec();
        report(phase);
    }

    void report(const char* phase)
    {
        const std::vector<Turn> turns = std::exchange(m_program.turns, {});
        if (turns.empty())
            return;
        const Turn& worst = *std::ranges::max_element(turns, {}, &Turn::thread);
        std::printf("%-34s %8zu %6.1f ms %6.1f ms %6.1f ms %6.1f ms  %s\n", phase, turns.size(),
                    largest(turns, &Turn::wall, 0.99), largest(turns, &Turn::wall, 1),
                    largest(turns, &Turn::thread, 0.99), worst.thread, worst.what.constData());
        std::fflush(stdout);
    }

private:
    Program& m_program;
    int m_milliseconds;
};

void openModel(MainWindow& window, const QString& path)
{
    QEventLoop loop;
    QObject::connect(&window, &MainWindow::modelOpened, &loop, &QEventLoop::quit);
    QObject::connect(&window, &MainWindow::openFailed, &loop, [](const QString& sentence) {
        std::fprintf(stderr, "%s\n", qPrintable(sentence));
        std::exit(EXIT_FAILURE);
    });
    window.openModel(path);
    loop.exec();
}

void tune(MainWindow& window, Script& script)
{
    QAbstractSlider* bits = nullptr;
    for (auto* slider : window.findChildren<QAbstractSlider*>())
        if (slider->minimum() == 2 && slider->maximum() == 8)
            bits = slider;
    bits->setSliderDown(true);
    script.play("drag bits", 50, [&](int i) { bits->setValue(2 + i % 7); });
    bits->setSliderDown(false);
    script.play("after the drag", 100, [](int) {});
    auto* undo = window.findChild<QAction*>("undo");
    script.play("undo, redo", 200,
                [&](int i) { i % 2 == 0 ? undo->trigger() : window.findChild<QAction*>("redo")->trigger(); });
}

} // namespace

int main(int argc, char** argv)
{
    setenv("OMP_WAIT_POLICY", "passive", 0);
    Program program(argc, argv);
    if (argc < 2) {
        std::fprintf(stderr, "Usage: bench_stalls MODEL [SECONDS-PER-PHASE]\n");
        return 2;
    }
    Script script(program, 1000 * (argc > 2 ? atoi(argv[2]) : 4));
    const QTemporaryDir folder;
    Settings settings(folder.filePath("settings.ini"));
    QElapsedTimer clock;
    clock.start();
    MainWindow window(&settings);
    window.resize(1440, 900);
    window.show();
    openModel(window, QString::fromLocal8Bit(argv[1]));
    script.report("open");
    Session* session = window.session();
    std::printf("%d tensors, opened after %lld ms\n", session->tensorCount(), static_cast<long long>(clock.elapsed()));

    script.play("measuring, untouched", 1000, [](int) {});
    script.play("select tensors", 150, [&](int i) { session->select(i * 5 % session->tensorCount()); });
    for (const char* view : {"matrix", "channels", "distribution"}) {
        window.findChild<QDockWidget*>(view)->raise();
        script.play(view, 150, [&](int i) { session->select(i * 3 % session->tensorCount()); });
    }
    auto* measure = window.findChild<QDockWidget*>("overview")->findChild<QComboBox*>();
    script.play("overview's measures", 150, [&](int i) { measure->setCurrentIndex(i % measure->count()); });
    for (int i = 0; i < session->tensorCount(); ++i)
        if (QString::fromStdString(session->model()->tensors[static_cast<std::size_t>(i)].name).contains("ffn_down"))
            session->select(i);
    tune(window, script);
    window.close();
    return EXIT_SUCCESS;
}
