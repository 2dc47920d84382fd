#pragma once

#include "widgets/job.h"
#include "widgets/pace.h"

#include <QAbstractTableModel>
#include <QElapsedTimer>

#include <deque>

// The one owner of heavy work that the user asked for: runs one task after the other and keeps a list of them, newest
// first, for the Jobs dock. GUI thread only.
class JobQueue : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Title, State, Step, Remaining, ColumnCount };
    enum class TaskState { Waiting, Running, Done, Cancelled, Failed };
    struct Task {
        QString title;
        TaskState state = TaskState::Waiting;
        double fraction = 0;
        QString step; // what it is at; why it failed
        Job::Work work;
        std::function<void(const quern::Error&)> failed;
        double seconds = 0; // how long it took
    };

    explicit JobQueue(QObject* parent = nullptr);

    // work: (quern::Progress&) -> T, on a worker thread.  done: (T) -> void, on the GUI thread.
    template <typename F, typename Done>
    void submit(const QString& title, F work, Done done, const std::function<void(const quern::Error&)>& failed = {})
    {
        add({.title = title, .work = Job::joined(std::move(work), std::move(done)), .failed = failed});
    }

    bool busy() const { return m_running != nullptr; }
    const Task* current() const { return m_running; } // null if idle
    std::optional<double> remaining() const;          // seconds of the current task, once it can be told
    void cancelCurrent();
    void cancelAll();
    bool wait(int milliseconds) { return m_job.wait(milliseconds); }

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

signals:
    void busyChanged();
    void progressed();
    void failed(const QString& title, const quern::Error& error); // of tasks without a handler of their own

private:
    void add(Task task);
    void startNext();
    void finish(TaskState state, const QString& step);
    void rowChanged();
    QString stateText(const Task& task) const;
    double now() const { return static_cast<double>(m_clock.elapsed()) / 1000; }

    std::deque<std::unique_ptr<Task>> m_tasks; // newest first
    Task* m_running = nullptr;
    Job m_job;
    Pace m_pace;
    QElapsedTimer m_clock;
};
