#pragma once

#include "widgets/session.h"
#include "widgets/views/subject.h"

#include <QTableWidget>

// A tensor's figures, one a line: of its weights, and of what the plan makes of them.
class NumbersPanel final : public QTableWidget {
    Q_OBJECT

public:
    explicit NumbersPanel(QWidget* parent);

    // errorPerStep: root mean square error in steps of the levels.
    void show(const std::optional<Subject>& subject, const quern::TensorStats* stats,
              const std::optional<Session::Error>& error, std::optional<double> errorPerStep);

    QSize sizeHint() const override;

private:
    void addHeading(const QString& text);
    void addLine(const QString& name, const QString& value, const QString& explanation = {});
    void addWeights(const quern::TensorStats* stats);
    void addErrors(const Session::Error& error, std::optional<double> errorPerStep);
};
