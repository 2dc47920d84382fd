#pragma once

#include "core/distortion.h"
#include "core/recipe.h"

#include <QAbstractTableModel>

#include <optional>

// What a method makes of one tensor.
struct MethodTrial {
    quern::Choice choice;
    QString obstacle; // why it cannot be tried; empty if it can
    std::optional<quern::Distortion> distortion;
    double seconds = 0; // that it took
};

// Methods side by side, one a row. The best of those tried stands out.
class MethodModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Method, OutputError, WeightError, Sqnr, Seconds, ColumnCount };
    using QAbstractTableModel::QAbstractTableModel;

    void setTrials(std::vector<MethodTrial> trials);
    const std::vector<MethodTrial>& trials() const { return m_trials; }
    void finish(int row, const quern::Distortion& distortion, double seconds);
    void fail(int row, const QString& sentence);
    int best() const; // by the output's error, by the weights' where no inputs are known; -1 if none has been tried

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;

private:
    QString shown(const MethodTrial& trial, int column) const;
    void changed() { emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1)); }

    std::vector<MethodTrial> m_trials;
};
