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
    explicit Job(QObject* parent = nullptr);
    ~Job() override;

    // work: (quern::Progress&) -> T, on a worker thread.  done: (T) -> void, on the GUI thread.
    template <typename Work, typename Done>
    void start(Work work, Done done)
    {
        run([work = std::move(work),
             done = std::move(done)](quern::Progress& progress) mutable -> std::function<void()> {
            auto value = std::make_shared<decltype(work(progress))>(work(progress));
            return [value, done] { done(std::move(*value)); };
        });
    }

    void cancel();
    bool running() const { return m_current != nullptr; }

signals:
    void runningChanged();
    void progressed(double fraction, const QString& step);
    void failed(const quern::Error& error);

private:
    class Run;
    using Delivery = std::function<void()>;

    void run(std::function<Delivery(quern::Progress&)> work);

    QThreadPool m_pool; // one thread; its destructor waits
    std::shared_ptr<Run> m_current;
};
