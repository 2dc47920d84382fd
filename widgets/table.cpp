#include "widgets/table.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QKeyEvent>

#include <algorithm>

namespace {

QString csvCell(QString cell)
{
    if (cell.contains(u'"') || cell.contains(u',') || cell.contains(u'\n') || cell.contains(u'\r'))
        return u'"' + cell.replace(u'"', QStringLiteral("\"\"")) + u'"';
    return cell;
}

QString plainText(const QModelIndex& index)
{
    const QVariant plain = index.data(Table::kPlainRole);
    return plain.isValid() ? plain.toString() : index.data().toString();
}

// Rows from the root to the index: sorts as the table shows.
std::vector<int> path(const QModelIndex& index)
{
    std::vector<int> rows = index.parent().isValid() ? path(index.parent()) : std::vector<int> {};
    rows.push_back(index.row());
    return rows;
}

void appendRows(const QAbstractItemModel& model, const QModelIndex& parent, QString& csv)
{
    for (int row = 0; row < model.rowCount(parent); ++row) {
        QStringList cells;
        for (int column = 0; column < model.columnCount(parent); ++column)
            cells << csvCell(plainText(model.index(row, column, parent)));
        csv += cells.join(u',') + QStringLiteral("\r\n");
        appendRows(model, model.index(row, 0, parent), csv);
    }
}

} // namespace

void Table::widenColumns()
{
    for (int column = 0; column < model()->columnCount(); ++column)
        if (!isColumnHidden(column) && sizeHintForColumn(column) > columnWidth(column))
            resizeColumnToContents(column);
}

Table::Table(QWidget* parent)
    : QTreeView(parent)
{
    setUniformRowHeights(true);
    setAlternatingRowColors(true);
    setSelectionMode(ExtendedSelection);
    setSortingEnabled(true);
    sortByColumn(-1, Qt::AscendingOrder); // the model's order until a header is clicked
}

void Table::keyPressEvent(QKeyEvent* event)
{
    if (!event->matches(QKeySequence::Copy))
        return QTreeView::keyPressEvent(event);
    QStringList lines;
    QModelIndexList rows = selectionModel()->selectedRows();
    std::ranges::sort(rows, {}, path);
    for (const QModelIndex& row : rows) {
        QStringList cells;
        for (int column = 0; column < model()->columnCount(row.parent()); ++column)
            if (!isColumnHidden(column))
                cells << plainText(row.siblingAtColumn(column));
        lines << cells.join(u'\t');
    }
    QGuiApplication::clipboard()->setText(lines.join(u'\n'));
}

QString csvText(const QAbstractItemModel& model)
{
    QStringList headers;
    for (int column = 0; column < model.columnCount(); ++column)
        headers << csvCell(model.headerData(column, Qt::Horizontal).toString());
    QString csv = headers.join(u',') + QStringLiteral("\r\n");
    appendRows(model, {}, csv);
    return csv;
}
