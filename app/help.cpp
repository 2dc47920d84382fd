#include "app/help.h"

#include "widgets/table.h"

#include <QAction>
#include <QCoreApplication>
#include <QDialog>
#include <QDialogButtonBox>
#include <QHeaderView>
#include <QMessageBox>
#include <QStandardItemModel>
#include <QVBoxLayout>

namespace {

struct Help {
    Q_DECLARE_TR_FUNCTIONS(Help)
};

} // namespace

void showShortcuts(const std::vector<MenuCommand>& commands, QWidget* parent)
{
    auto* dialog = new QDialog(parent);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(Help::tr("Keyboard shortcuts"));
    auto* model = new QStandardItemModel(dialog);
    model->setHorizontalHeaderLabels({Help::tr("Action"), Help::tr("Keys")});
    const auto add = [&](const QString& action, const QString& keys) {
        model->appendRow({new QStandardItem(action), new QStandardItem(keys)});
    };
    for (const MenuCommand& command : commands)
        if (!command.action->shortcuts().isEmpty())
            add(command.path, QKeySequence::listToString(command.action->shortcuts(), QKeySequence::NativeText));
    const QString copy = QKeySequence(QKeySequence::Copy).toString(QKeySequence::NativeText);
    add(Help::tr("Table: copy the selected rows"), copy);
    add(Help::tr("Plot: copy the picture"), copy);
    add(Help::tr("Plot: export the picture"), QStringLiteral("Ctrl+Shift+P"));
    add(Help::tr("Plot: show as table"), QStringLiteral("Ctrl+T"));
    add(Help::tr("Plot: read the values one by one"), Help::tr("Left, Right, Page Up, Page Down"));
    add(Help::tr("Plot: zoom, show all"), Help::tr("+, -, Home"));
    add(Help::tr("Plot: move along"), Help::tr("Ctrl+Left, Ctrl+Right, Up, Down"));
    add(Help::tr("Matrix: move the cross, by 16"), Help::tr("arrow keys, with Shift"));
    add(Help::tr("Overview: move between tensors"), Help::tr("arrow keys"));
    add(Help::tr("Overview: the next worse, the next better tensor"), Help::tr("[ and ]"));
    add(Help::tr("Overview: show the tensor's matrix"), Help::tr("Enter"));
    add(Help::tr("Size and error bars: move between kinds, select one"), Help::tr("Left, Right, Enter"));

    auto* table = new Table(dialog);
    table->setModel(model);
    table->setRootIsDecorated(false);
    table->sortByColumn(0, Qt::AscendingOrder);
    table->resizeColumnToContents(0);
    table->resizeColumnToContents(1);
    table->setAccessibleName(dialog->windowTitle());
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, dialog);
    QObject::connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::reject);
    auto* layout = new QVBoxLayout(dialog);
    layout->addWidget(table);
    layout->addWidget(buttons);
    dialog->resize(dialog->fontMetrics().averageCharWidth() * 96, dialog->fontMetrics().height() * 30);
    dialog->open();
}

void showAbout(QWidget* parent)
{
    auto* box = new QMessageBox(QMessageBox::NoIcon, Help::tr("About Quern"),
                                Help::tr("Quern %1").arg(QStringLiteral(QUERN_VERSION)), QMessageBox::Close, parent);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setIconPixmap(QIcon(QStringLiteral(":/icons/quern.svg")).pixmap(96));
    box->setInformativeText(
        Help::tr("A workbench for quantizing large language models: see what is in every tensor, steer what "
                 "quantization does to it, export a GGUF that llama.cpp runs.\n\nFree software under the GNU General "
                 "Public License, version 3 or later. Uses Qt, QCustomPlot and Eigen."));
    box->open();
}
