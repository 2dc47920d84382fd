#include "app/commandpalette.h"

#include "widgets/text.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QVBoxLayout>

#include <algorithm>

namespace {

constexpr int kListed = 50;
constexpr int kTensorRole = Qt::UserRole, kActionRole = Qt::UserRole + 1;

bool containsAll(const QString& text, const QStringList& words)
{
    return std::ranges::all_of(words, [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
}

} // namespace

CommandPalette::CommandPalette(Session* session, std::vector<MenuCommand> commands, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_commands(std::move(commands))
    , m_words(new QLineEdit(this))
    , m_found(new QListWidget(this))
{
    setAttribute(Qt::WA_DeleteOnClose);
    setWindowTitle(tr("Go to"));
    m_words->setPlaceholderText(tr("Tensor or action, e.g. “3 ffn_down” or “export”"));
    m_words->setAccessibleName(tr("Tensor or action"));
    m_words->installEventFilter(this);
    m_found->setAccessibleName(tr("Found"));
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(m_words);
    layout->addWidget(m_found);
    resize(fontMetrics().averageCharWidth() * 70, fontMetrics().height() * 20);
    connect(m_words, &QLineEdit::textChanged, this, &CommandPalette::fill);
    connect(m_words, &QLineEdit::returnPressed, this, &CommandPalette::run);
    connect(m_found, &QListWidget::itemActivated, this, &CommandPalette::run);
    fill({});
}

void CommandPalette::fill(const QString& words)
{
    m_found->clear();
    const QStringList parts = words.split(u' ', Qt::SkipEmptyParts);
    if (parts.isEmpty()) { // what there is to do, then what there is to look at
        addCommands(parts);
        addTensors(parts);
    } else {
        addTensors(parts);
        addCommands(parts);
    }
    m_found->setCurrentRow(0);
}

void CommandPalette::addTensors(const QStringList& words)
{
    for (int i = 0, listed = 0; i < m_session->tensorCount() && listed < kListed; ++i) {
        const QString name = text(m_session->model()->tensors[static_cast<std::size_t>(i)].name);
        if (!containsAll(name, words))
            continue;
        (new QListWidgetItem(name, m_found))->setData(kTensorRole, i);
        ++listed;
    }
}

void CommandPalette::addCommands(const QStringList& words)
{
    for (const MenuCommand& command : m_commands) {
        if (!containsAll(command.path, words))
            continue;
        const QString keys = command.action->shortcut().toString(QKeySequence::NativeText);
        auto* item
            = new QListWidgetItem(keys.isEmpty() ? command.path : tr("%1 (%2)").arg(command.path, keys), m_found);
        item->setData(kActionRole, QVariant::fromValue<QObject*>(command.action));
        if (!command.action->isEnabled())
            item->setFlags(item->flags() & ~Qt::ItemIsEnabled);
    }
}

// Up and down move in the list while the words keep the focus.
bool CommandPalette::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        const int step = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : 0;
        if (step != 0) {
            m_found->setCurrentRow(std::clamp(m_found->currentRow() + step, 0, std::max(m_found->count() - 1, 0)));
            return true;
        }
    }
    return QDialog::eventFilter(watched, event);
}

void CommandPalette::run()
{
    const QListWidgetItem* item = m_found->currentItem();
    if (!item || !(item->flags() & Qt::ItemIsEnabled))
        return;
    const QVariant tensor = item->data(kTensorRole);
    auto* action = qobject_cast<QAction*>(item->data(kActionRole).value<QObject*>());
    accept();
    if (tensor.isValid())
        m_session->select(tensor.toInt());
    else if (action)
        action->trigger();
}
