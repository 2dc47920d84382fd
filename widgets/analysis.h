#pragma once

#include "widgets/job.h"
#include "widgets/pace.h"
#include "widgets/session.h"

#include <QElapsedTimer>

// Measures the session's model in the background: statistics of every tensor, and the error of the plan, estimated
// from sampled rows first and then exactly. The selected tensor comes first, the others in file order; when the recipe
// changes only the tensors it changes are measured again. GUI thread only.
class Analysis : public QObject {
    Q_OBJECT

public:
    explicit Analysis(Session* session, QObject* parent = nullptr);

    // While a slider moves, or heavier work needs the cores: only estimates are made. Calls nest.
    void hold();
    void release();

    bool complete() const; // nothing is left to measure
    double fraction() const;
    QString step() const { return m_step; }
    std::optional<double> remaining() const; // seconds; none while it cannot be told
    void stop();                             // of this model no more is measured
    bool wait(int milliseconds)
    {
        return m_scores.wait(milliseconds) && m_exact.wait(milliseconds) && m_estimates.wait(milliseconds);
    }

signals:
    void progressed();
    void completed();
    void failed(const QString& sentence); // the model can no longer be read; measuring has stopped

private:
    void startModel();
    void startRecipe();
    void scoreInputs();
    void wake();
    void startExact();
    void startEstimate();
    void measureStats(int index);
    void measureError(Job& job, int index, long stride);
    void takeFailure(int index, const quern::Error& error);
    void count(double weights);
    bool wantsStats(int tensor) const;
    bool wantsError(int tensor) const;
    bool wantsEstimate(int tensor) const;
    int next(int& cursor, bool (Analysis::*wants)(int) const);
    const quern::Tensor& tensor(int index) const;
    double now() const { return static_cast<double>(m_clock.elapsed()) / 1000; }

    Session* m_session;
    Job m_scores;
    Job m_exact, m_estimates;                                 // the second is never kept waiting by the first
    int m_nextStats = 0, m_nextError = 0, m_nextEstimate = 0; // where each search for work goes on
    int m_held = 0;
    bool m_stopped = false;
    bool m_announced = true;        // completed() has been emitted for what is there
    int m_measured = -1;            // whose error m_exact is measuring, or -1
    quern::Choice m_measuredChoice; // under which
    std::vector<bool> m_noStats;    // statistics failed
    double m_done = 0, m_total = 0; // weights, counted once for statistics and once for the error
    QString m_step;
    Pace m_pace;
    QElapsedTimer m_clock;
};
