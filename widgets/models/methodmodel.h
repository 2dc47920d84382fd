#pragma once

#include "core/recipe.h"
#include "core/rewriting.h"

#include <QAbstractTableModel>

#include <optional>

// What a method makes of one tensor, perhaps after a rewrite of what feeds it.
struct MethodTrial {
    quern::Choice choice;
    quern::RewriteChoice rewrite {}; // none in it: of the tensor as it is
    QString obstacle;                // why it cannot be tried; empty if it can
    std::optional<quern::Distortion> distortion;
    quern::FoldSummary fold {}; // what the rewrite did
    double seconds = 0;         // that it took

    QString name() const; // "gptq", "awq + gptq"
};

// Methods side by side, one a row. The best of those tried stands out.
class MethodModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Method, OutputError, WeightError, Sqnr, Seconds, ColumnCount };
    using QAbstractTableModel::QAbstractTableModel;

    void setTrials(std::vector<MethodTrial> trials);
    const std::vector<MethodTrial>& trials() const { return m_trials; }
    void finish(int row, const quern::RewrittenPreview& found, double seconds);
    // Forgets what has been found of those after a rewrite whose settings are others in `trials`, or of all of them.
    bool renewRewritten(const std::vector<MethodTrial>& trials, bool all); // whether there were any
    void fail(int row, const QString& sentence);
    int best() const; // by the output's error, by the weights' where no inputs are known; -1 if none has been tried

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;

private:
    QString shown(const MethodTrial& trial, int column) const;
    static QString explained(const MethodTrial& trial);
    void changed() { emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1)); }

    std::vector<MethodTrial> m_trials;
};
