#include "widgets/jobqueue.h"

#include "widgets/text.h"

#include <algorithm>
#include <utility>

namespace {

constexpr std::size_t kKept = 50; // tasks listed

}

JobQueue::JobQueue(QObject* parent)
    : QAbstractTableModel(parent)
{
    m_clock.start();
    connect(&m_job, &Job::progressed, this, [this](double fraction, const QString& step) {
        m_pace.report(fraction, now());
        m_running->fraction = fraction;
        m_running->step = step;
        rowChanged();
        emit progressed();
    });
    connect(&m_job, &Job::failed, this, [this](const quern::Error& error) {
        const auto handler = m_running->failed;
        const QString title = m_running->title;
        finish(TaskState::Failed, sentence(error));
        handler ? handler(error) : emit failed(title, error);
    });
}

std::optional<double> JobQueue::remaining() const
{
    return m_running ? m_pace.remaining(now()) : std::nullopt;
}

void JobQueue::add(Task task)
{
    beginInsertRows({}, 0, 0);
    m_tasks.push_front(std::make_unique<Task>(std::move(task)));
    endInsertRows();
    if (m_tasks.size() > kKept && m_tasks.back()->state > TaskState::Running) {
        const int last = static_cast<int>(m_tasks.size()) - 1;
        beginRemoveRows({}, last, last);
        m_tasks.pop_back();
        endRemoveRows();
    }
    startNext();
}

void JobQueue::startNext()
{
    const auto next
        = std::find_if(m_tasks.rbegin(), m_tasks.rend(), [](auto& t) { return t->state == TaskState::Waiting; });
    if (m_running || next == m_tasks.rend())
        return;
    m_running = next->get();
    m_running->state = TaskState::Running;
    m_pace.start(now());
    rowChanged();
    emit busyChanged();
    m_job.run([this, work = std::exchange(m_running->work, nullptr)](quern::Progress& progress) mutable {
        Job::Delivery deliver = work(progress);
        work = nullptr;
        return [this, deliver = std::move(deliver)] {
            deliver();
            finish(TaskState::Done, {});
        };
    });
}

void JobQueue::finish(TaskState state, const QString& step)
{
    m_running->state = state;
    m_running->step = step;
    m_running->seconds = m_pace.elapsed(now());
    rowChanged();
    m_running = nullptr;
    startNext();
    if (!m_running)
        emit busyChanged();
}

void JobQueue::cancelCurrent()
{
    if (!m_running)
        return;
    m_job.cancel();
    finish(TaskState::Cancelled, {});
}

void JobQueue::cancelAll()
{
    for (auto& task : m_tasks)
        if (task->state == TaskState::Waiting) {
            task->state = TaskState::Cancelled;
            task->work = nullptr;
        }
    cancelCurrent();
    if (!m_tasks.empty())
        emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
}

void JobQueue::rowChanged()
{
    const auto it = std::ranges::find(m_tasks, m_running, &std::unique_ptr<Task>::get);
    const int row = static_cast<int>(it - m_tasks.begin());
    emit dataChanged(index(row, 0), index(row, ColumnCount - 1));
}

int JobQueue::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_tasks.size());
}

int JobQueue::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QString JobQueue::stateText(const Task& task) const
{
    switch (task.state) {
    case TaskState::Waiting:
        return tr("waiting");
    case TaskState::Running:
        return tr("%1 %").arg(static_cast<int>(100 * task.fraction));
    case TaskState::Done:
        return tr("done");
    case TaskState::Cancelled:
        return tr("cancelled");
    case TaskState::Failed:
        return tr("failed");
    }
    return {};
}

QVariant JobQueue::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || (role != Qt::DisplayRole && role != Qt::ToolTipRole))
        return {};
    const Task& task = *m_tasks[static_cast<std::size_t>(index.row())];
    switch (index.column()) {
    case Title:
        return task.title;
    case State:
        return stateText(task);
    case Step:
        return task.step;
    case Remaining:
        if (&task == m_running) {
            const auto left = remaining();
            return left ? tr("%1 left").arg(durationText(*left)) : QString();
        }
        return task.state > TaskState::Running ? durationText(task.seconds) : QString();
    default:
        return {};
    }
}

QVariant JobQueue::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    const QString titles[] = {tr("Job"), tr("State"), tr("Step"), tr("Time")};
    return section < ColumnCount ? titles[section] : QVariant();
}
