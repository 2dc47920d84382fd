#include "widgets/models/methodmodel.h"

#include "widgets/methods.h"
#include "widgets/text.h"

#include <QFont>

#include <algorithm>

void MethodModel::setTrials(std::vector<MethodTrial> trials)
{
    beginResetModel();
    m_trials = std::move(trials);
    endResetModel();
}

void MethodModel::finish(int row, const quern::Distortion& distortion, double seconds)
{
    MethodTrial& trial = m_trials.at(static_cast<std::size_t>(row));
    trial.distortion = distortion;
    trial.seconds = seconds;
    changed();
}

void MethodModel::fail(int row, const QString& sentence)
{
    m_trials.at(static_cast<std::size_t>(row)).obstacle = sentence;
    changed();
}

int MethodModel::best() const
{
    const auto loss = [](const MethodTrial& trial) {
        const quern::Distortion& d = *trial.distortion;
        return d.outputPower > 0 ? d.rho() : d.relative();
    };
    int best = -1;
    for (std::size_t i = 0; i < m_trials.size(); ++i)
        if (m_trials[i].distortion && (best < 0 || loss(m_trials[i]) < loss(m_trials[static_cast<std::size_t>(best)])))
            best = static_cast<int>(i);
    return best;
}

int MethodModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_trials.size());
}

int MethodModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QString MethodModel::shown(const MethodTrial& trial, int column) const
{
    if (column == Method)
        return text(trial.choice.quantizer->name);
    if (!trial.distortion)
        return column == OutputError ? trial.obstacle : QString();
    const quern::Distortion& d = *trial.distortion;
    switch (column) {
    case OutputError:
        return d.outputPower > 0 ? figure(d.rho()) : QStringLiteral("–");
    case WeightError:
        return figure(d.relative());
    case Sqnr:
        return d.errorSquares > 0 ? tr("%1 dB").arg(fixed(d.sqnr(), 1)) : tr("exact");
    case Seconds:
        return tr("%1 s").arg(figure(trial.seconds, 2));
    default:
        return {};
    }
}

QVariant MethodModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const MethodTrial& trial = m_trials.at(static_cast<std::size_t>(index.row()));
    if (role == Qt::DisplayRole)
        return shown(trial, index.column());
    if (role == Qt::ToolTipRole)
        return trial.obstacle.isEmpty() ? summaryOf(*trial.choice.quantizer) : trial.obstacle;
    if (role == Qt::FontRole && index.row() == best()) {
        QFont bold;
        bold.setBold(true);
        return bold;
    }
    if (role == Qt::TextAlignmentRole && index.column() != Method && trial.distortion)
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    return {};
}

QVariant MethodModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section >= ColumnCount)
        return {};
    const QString titles[] = {tr("Method"), tr("Output error ρ"), tr("Weight error"), tr("SQNR"), tr("Time")};
    const QString tips[] = {
        tr("How the stored value of each weight is chosen"),
        tr("Mean square of the output's error over that of the output, on the calibration's inputs"),
        tr("Root mean square of the weights' error over that of the weights"),
        tr("Signal to quantization noise of the weights"),
        tr("That quantizing the whole tensor took; what methods share is made once, by the first"),
    };
    if (role == Qt::ToolTipRole)
        return tips[section];
    return role == Qt::DisplayRole ? titles[section] : QVariant();
}

Qt::ItemFlags MethodModel::flags(const QModelIndex& index) const
{
    if (!index.isValid())
        return {};
    const bool possible = m_trials.at(static_cast<std::size_t>(index.row())).obstacle.isEmpty();
    return possible ? QAbstractTableModel::flags(index) : Qt::ItemNeverHasChildren;
}
