#pragma once

#include "widgets/analysis.h"
#include "widgets/jobqueue.h"

#include <QWidget>

class QLabel;
class QProgressBar;
class QToolButton;

// The front of the work in the status bar: what, how far, how long still, cancel.
class JobStatus : public QWidget {
    Q_OBJECT

public:
    JobStatus(JobQueue* jobs, Analysis* analysis, QWidget* parent = nullptr);

    void setIdle(const QString& text); // what it says while nothing runs

private:
    void refresh();

    JobQueue* m_jobs;
    Analysis* m_analysis;
    QString m_idle;
    QLabel* m_step;
    QProgressBar* m_bar;
    QLabel* m_remaining;
    QToolButton* m_cancel;
};
