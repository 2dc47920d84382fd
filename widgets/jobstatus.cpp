#include "widgets/jobstatus.h"

#include "widgets/text.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <QToolButton>

JobStatus::JobStatus(JobQueue* jobs, Analysis* analysis, QWidget* parent)
    : QWidget(parent)
    , m_jobs(jobs)
    , m_analysis(analysis)
    , m_idle(tr("Ready"))
    , m_step(new QLabel(this))
    , m_bar(new QProgressBar(this))
    , m_remaining(new QLabel(this))
    , m_cancel(new QToolButton(this))
{
    m_bar->setRange(0, 1000);
    m_bar->setTextVisible(false);
    m_bar->setMaximumWidth(fontMetrics().averageCharWidth() * 24);
    m_bar->setAccessibleName(tr("Progress"));
    m_cancel->setText(tr("Cancel"));
    m_cancel->setToolTip(tr("Stop the job, or the measuring of this model"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_step);
    layout->addWidget(m_bar);
    layout->addWidget(m_remaining);
    layout->addWidget(m_cancel);

    connect(jobs, &JobQueue::progressed, this, &JobStatus::refresh);
    connect(jobs, &JobQueue::busyChanged, this, &JobStatus::refresh);
    connect(analysis, &Analysis::progressed, this, &JobStatus::refresh);
    connect(analysis, &Analysis::completed, this, &JobStatus::refresh);
    connect(analysis, &Analysis::failed, this, &JobStatus::refresh);
    connect(m_cancel, &QToolButton::clicked, this, [this] {
        if (m_jobs->busy())
            m_jobs->cancelCurrent();
        else
            m_analysis->stop();
        refresh();
    });
    refresh();
}

void JobStatus::setIdle(const QString& text)
{
    m_idle = text;
    refresh();
}

void JobStatus::refresh()
{
    const bool working = m_jobs->busy() || !m_analysis->complete();
    for (QWidget* part : std::initializer_list<QWidget*> {m_bar, m_remaining, m_cancel})
        part->setVisible(working);
    if (!working)
        return m_step->setText(m_idle);
    const JobQueue::Task* task = m_jobs->current();
    const auto remaining = task ? m_jobs->remaining() : m_analysis->remaining();
    const QString title
        = task ? task->step.isEmpty() ? task->title : tr("%1: %2").arg(task->title, task->step) : m_analysis->step();
    constexpr int kCharacters = 70;
    m_step->setText(fontMetrics().elidedText(title, Qt::ElideMiddle, fontMetrics().averageCharWidth() * kCharacters));
    m_bar->setValue(static_cast<int>(1000 * (task ? task->fraction : m_analysis->fraction())));
    m_remaining->setText(remaining ? tr("%1 left").arg(durationText(*remaining)) : QString());
}
