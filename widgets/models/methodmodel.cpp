#include "widgets/models/methodmodel.h"

#include "widgets/errorfigures.h"
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

QString MethodTrial::name() const
{
    const QString method = text(choice.quantizer->name);
    return rewrite.rewrite ? text(rewrite.rewrite->name) + QStringLiteral(" + ") + method : method;
}

void MethodModel::finish(int row, const quern::RewrittenPreview& found, double seconds)
{
    MethodTrial& trial = m_trials.at(static_cast<std::size_t>(row));
    trial.distortion = found.distortion;
    trial.fold = found.fold;
    trial.seconds = seconds;
    changed();
}

void MethodModel::fail(int row, const QString& sentence)
{
    m_trials.at(static_cast<std::size_t>(row)).obstacle = sentence;
    changed();
}

bool MethodModel::renewRewritten(const std::vector<MethodTrial>& trials, bool all)
{
    bool renewed = false;
    for (std::size_t i = 0; i < std::min(trials.size(), m_trials.size()); ++i)
        if (m_trials[i].rewrite.rewrite && (all || m_trials[i].rewrite != trials[i].rewrite)) {
            m_trials[i] = trials[i];
            renewed = true;
        }
    if (renewed)
        changed();
    return renewed;
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
        return trial.distortion && trial.rewrite.rewrite && trial.fold.scaled == 0
            ? tr("%1: nothing scaled").arg(trial.name())
            : trial.name();
    if (!trial.distortion)
        return column == OutputError ? trial.obstacle : QString();
    const quern::Distortion& d = *trial.distortion;
    switch (column) {
    case OutputError:
        return outputError().written(d);
    case WeightError:
        return figure(d.relative());
    case Sqnr:
        return sqnr().written(d);
    case Seconds:
        return tr("%1 s").arg(figure(trial.seconds, 2));
    default:
        return {};
    }
}

QString MethodModel::explained(const MethodTrial& trial)
{
    QString method = summaryOf(*trial.choice.quantizer);
    if (!trial.rewrite.rewrite)
        return method;
    QStringList sentences {summaryOf(*trial.rewrite.rewrite), method};
    if (trial.distortion)
        sentences << gainOf(*trial.rewrite.rewrite, trial.fold);
    sentences << tr("Weight error and SQNR are of the rescaled weights.");
    return sentences.join(u' ');
}

QVariant MethodModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const MethodTrial& trial = m_trials.at(static_cast<std::size_t>(index.row()));
    if (role == Qt::DisplayRole)
        return shown(trial, index.column());
    if (role == Qt::ToolTipRole)
        return trial.obstacle.isEmpty() ? explained(trial) : trial.obstacle;
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
    const QString titles[] = {tr("Method"), outputError().name, tr("Weight error"), sqnr().name, tr("Time")};
    const QString tips[] = {
        tr("How the stored value of each weight is chosen"),
        outputError().tip,
        tr("Root mean square of the weights' error over that of the weights"),
        sqnr().tip,
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
