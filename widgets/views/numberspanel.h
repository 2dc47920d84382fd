#pragma once

#include "widgets/figurelist.h"
#include "widgets/session.h"
#include "widgets/views/subject.h"

// A tensor's figures, one a line: of its weights, and of what the plan makes of them.
class NumbersPanel final : public FigureList {
    Q_OBJECT

public:
    explicit NumbersPanel(QWidget* parent);

    // errorPerStep: root mean square error in steps of the levels.
    void show(const std::optional<Subject>& subject, const quern::TensorStats* stats,
              const std::optional<Session::Error>& error, std::optional<double> errorPerStep);
    // Of a tensor's inputs or outputs. tokens: how many there were.
    void showActivations(const QString& heading, const quern::TensorStats& stats, double tokens);

private:
    void addWeights(const quern::TensorStats* stats);
    void addErrors(const Session::Error& error, std::optional<double> errorPerStep);
};
