#include "widgets/tabledialog.h"

#include "widgets/table.h"

#include <QAbstractTableModel>
#include <QClipboard>
#include <QCoreApplication>
#include <QDialog>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QGuiApplication>
#include <QHeaderView>
#include <QMessageBox>
#include <QPushButton>
#include <QSaveFile>
#include <QShortcut>
#include <QTableView>
#include <QVBoxLayout>

#include <algorithm>

namespace {

QString translated(const char* text)
{
    return QCoreApplication::translate("TableDialog", text);
}

// As files have it: C locale, all digits that a float has.
QString plain(const QVariant& value)
{
    return value.typeId() == QMetaType::Double ? QString::number(value.toDouble(), 'g', 9) : value.toString();
}

QString quoted(const QString& cell)
{
    if (!cell.contains(QLatin1Char('"')) && !cell.contains(QLatin1Char(',')) && !cell.contains(QLatin1Char('\n')))
        return cell;
    return QLatin1Char('"') + QString(cell).replace(QLatin1Char('"'), QLatin1String("\"\"")) + QLatin1Char('"');
}

class Model final : public QAbstractTableModel {
public:
    Model(PlotTable table, QObject* parent)
        : QAbstractTableModel(parent)
        , m_table(std::move(table))
    {
    }

    const PlotTable& table() const { return m_table; }
    int rowCount(const QModelIndex& parent) const override
    {
        constexpr long kMost = 10'000'000; // more rows than a view can address pixels for
        return parent.isValid() ? 0 : static_cast<int>(std::min(m_table.rows, kMost));
    }
    int columnCount(const QModelIndex& parent) const override
    {
        return parent.isValid() ? 0 : static_cast<int>(m_table.columns.size());
    }
    QVariant data(const QModelIndex& index, int role) const override
    {
        if (role == Qt::TextAlignmentRole)
            return QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter);
        if (role != Qt::DisplayRole && role != Table::kPlainRole)
            return {};
        const QVariant value = m_table.value(index.row(), index.column());
        if (role == Table::kPlainRole)
            return plain(value);
        return value.typeId() == QMetaType::Double ? QLocale().toString(value.toDouble(), 'g', 7) : value;
    }
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override
    {
        if (role != Qt::DisplayRole)
            return {};
        return orientation == Qt::Horizontal ? QVariant(m_table.columns.value(section)) : QVariant(section + 1);
    }

private:
    PlotTable m_table;
};

void save(const PlotTable& table, const QString& title, QWidget* parent)
{
    const QString path = QFileDialog::getSaveFileName(parent, translated("Save Table"), title + QStringLiteral(".csv"),
                                                      translated("Comma-separated values (*.csv)"));
    if (path.isEmpty())
        return;
    QSaveFile file(path);
    if (!file.open(QIODevice::WriteOnly) || file.write(csv(table).toUtf8()) < 0 || !file.commit())
        QMessageBox::warning(parent, translated("Save Table"),
                             translated("The table could not be written to %1: %2.").arg(path, file.errorString()));
}

void copySelection(const QTableView& view)
{
    QModelIndexList cells = view.selectionModel()->selectedIndexes();
    std::sort(cells.begin(), cells.end());
    QString out;
    for (qsizetype i = 0; i < cells.size(); ++i) {
        if (i > 0)
            out += QLatin1Char(cells[i].row() == cells[i - 1].row() ? '\t' : '\n');
        out += cells[i].data(Table::kPlainRole).toString();
    }
    QGuiApplication::clipboard()->setText(out);
}

} // namespace

QString csv(const PlotTable& table)
{
    QString out;
    const auto end
        = [&](int column) { out += column + 1 < table.columns.size() ? QLatin1String(",") : QLatin1String("\r\n"); };
    for (int column = 0; column < table.columns.size(); ++column) {
        out += quoted(table.columns[column]);
        end(column);
    }
    for (long row = 0; row < table.rows; ++row)
        for (int column = 0; column < table.columns.size(); ++column) {
            out += quoted(plain(table.value(row, column)));
            end(column);
        }
    return out;
}

void showTable(const PlotTable& table, const QString& title, QWidget* parent)
{
    auto* dialog = new QDialog(parent);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(title);
    auto* view = new QTableView(dialog);
    auto* model = new Model(table, view);
    view->setModel(model);
    view->setAccessibleName(title);
    view->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    view->horizontalHeader()->setResizeContentsPrecision(100);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Save | QDialogButtonBox::Close, dialog);
    buttons->button(QDialogButtonBox::Save)->setText(translated("&Save as CSV…"));
    auto* copy = new QShortcut(QKeySequence::Copy, view);
    QObject::connect(copy, &QShortcut::activated, view, [view] { copySelection(*view); });
    QObject::connect(buttons->button(QDialogButtonBox::Save), &QPushButton::clicked, dialog,
                     [model, title, dialog] { save(model->table(), title, dialog); });
    QObject::connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::reject);
    auto* layout = new QVBoxLayout(dialog);
    layout->addWidget(view);
    layout->addWidget(buttons);
    dialog->resize(640, 480);
    dialog->show();
}
