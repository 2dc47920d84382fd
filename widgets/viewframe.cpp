#include "widgets/viewframe.h"

#include "widgets/methods.h"
#include "widgets/session.h"

#include <QAccessible>
#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QVBoxLayout>

#include <algorithm>

namespace {

constexpr int kSpacing = 6;

} // namespace

FlowLayout::FlowLayout(QWidget* parent)
    : QLayout(parent)
{
    setContentsMargins(kSpacing, 2, kSpacing, 2);
}

FlowLayout::~FlowLayout()
{
    qDeleteAll(m_items);
}

QLayoutItem* FlowLayout::takeAt(int index)
{
    return index >= 0 && index < count() ? m_items.takeAt(index) : nullptr;
}

QSize FlowLayout::minimumSize() const
{
    QSize size;
    for (const QLayoutItem* item : m_items)
        size = size.expandedTo(item->minimumSize());
    const QMargins margins = contentsMargins();
    return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom());
}

void FlowLayout::setGeometry(const QRect& rect)
{
    QLayout::setGeometry(rect);
    arranged(rect, true);
}

int FlowLayout::arranged(const QRect& rect, bool move) const
{
    const QRect inner = rect.marginsRemoved(contentsMargins());
    const bool mirrored = parentWidget() && parentWidget()->layoutDirection() == Qt::RightToLeft;
    int x = 0, y = 0, line = 0;
    for (QLayoutItem* item : m_items) {
        if (item->isEmpty())
            continue;
        const QSize size = item->sizeHint();
        if (x > 0 && x + size.width() > inner.width()) {
            x = 0;
            y += line + kSpacing / 2;
            line = 0;
        }
        line = std::max(line, size.height());
        const int left = mirrored ? inner.right() + 1 - x - size.width() : inner.left() + x;
        if (move)
            item->setGeometry({{left, inner.top() + y}, size});
        x += size.width() + kSpacing;
    }
    return y + line + rect.height() - inner.height();
}

ViewFrame::ViewFrame(QWidget* parent)
    : QWidget(parent)
    , m_controls(new QWidget(this))
    , m_status(new QLabel(this))
    , m_note(new QLabel(this))
{
    new FlowLayout(m_controls);
    QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Minimum);
    policy.setHeightForWidth(true);
    m_controls->setSizePolicy(policy);
    for (QLabel* line : {m_status, m_note}) {
        line->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
        line->setTextFormat(Qt::PlainText);
        line->setTextInteractionFlags(Qt::TextSelectableByMouse);
        line->setIndent(kSpacing);
    }
    m_note->hide();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_controls);
    layout->addWidget(m_status);
    layout->addWidget(m_note);
}

// The children die after this object is no view any more; what they say by then (a focus that goes) has no listener.
ViewFrame::~ViewFrame()
{
    for (const QObject* child : findChildren<QObject*>())
        child->disconnect(this);
}

QComboBox* ViewFrame::addChoice(const QString& label, const QStringList& items)
{
    auto* pair = new QWidget(m_controls);
    auto* text = new QLabel(label, pair);
    auto* choice = new QComboBox(pair);
    choice->addItems(items);
    text->setBuddy(choice);
    auto* layout = new QHBoxLayout(pair);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(text);
    layout->addWidget(choice);
    addControl(pair);
    return choice;
}

QCheckBox* ViewFrame::addSwitch(const QString& label, bool on)
{
    auto* box = new QCheckBox(label, m_controls);
    box->setChecked(on);
    addControl(box);
    return box;
}

void ViewFrame::addControl(QWidget* control)
{
    m_controls->layout()->addWidget(control);
}

void ViewFrame::setContent(QWidget* content)
{
    auto* box = static_cast<QVBoxLayout*>(layout());
    box->insertWidget(1, content, 1);
    m_content = content;
    setFocusProxy(content);
}

void ViewFrame::setHint(const QString& text)
{
    m_hint = text;
    setStatus({});
}

void ViewFrame::setStatus(const QString& text)
{
    const QString& shown = text.isEmpty() ? m_hint : text;
    if (shown == m_status->text())
        return;
    m_status->setText(shown);
    m_status->setToolTip(shown);
    QAccessibleEvent changed(m_status, QAccessible::NameChanged);
    QAccessible::updateAccessibility(&changed);
}

QString ViewFrame::status() const
{
    return m_status->text();
}

void ViewFrame::setNote(const QString& text)
{
    m_note->setText(text);
    m_note->setToolTip(text);
    m_note->setVisible(!text.isEmpty());
}

void ViewFrame::noteRewrites(const Session* session)
{
    const auto note = [this, session] { setNote(shownWithout(session->recipe())); };
    connect(session, &Session::recipeChanged, this, note);
    note();
}
