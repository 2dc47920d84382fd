#pragma once

#include "core/error.h"
#include "core/progress.h"

#include <QObject>
#include <QThreadPool>

#include <atomic>
#include <functional>
#include <memory>

// Runs core functions off the GUI thread, one at a time, and hands their values back on it.
// Starting anew cancels what is running: its value, progress and errors are dropped.
// Destroying the job cancels and waits, so work may refer to whatever outlives the job.
class Job : public QObject {
    Q_OBJECT

public:
    using Delivery = std::function<void()>;                 // on the GUI thread
    using Work = std::function<Delivery(quern::Progress&)>; // on a worker thread

    explicit Job(QObject* parent = nullptr);
    ~Job() override;

    // work: (quern::Progress&) -> T, on a worker thread.  done: (T) -> void, on the GUI thread.
    template <typename F, typename Done>
    void start(F work, Done done)
    {
        run(joined(std::move(work), std::move(done)));
    }
    void run(Work work);

    // Work that hands its value to done. T may be void.
    template <typename F, typename Done>
    static Work joined(F work, Done done)
    {
        return [work = std::move(work), done = std::move(done)](quern::Progress& progress) mutable -> Delivery {
            if constexpr (std::is_void_v<decltype(work(progress))>) {
                work(progress);
                return [done]() mutable { done(); };
            } else {
                auto value = std::make_shared<decltype(work(progress))>(work(progress));
                return [value, done]() mutable { done(std::move(*value)); };
            }
        };
    }

    void cancel(); // returns at once; the work ends at its next check
    bool running() const { return m_current != nullptr; }
    bool wait(int milliseconds); // for work cancelled before; false if it is still at it

signals:
    void runningChanged();
    void progressed(double fraction, const QString& step);
    void failed(const quern::Error& error);

private:
    class Run;

    QThreadPool m_pool; // one thread; its destructor waits
    std::shared_ptr<Run> m_current;
};
