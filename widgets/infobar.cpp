#include "widgets/infobar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QMessageBox>
#include <QPushButton>
#include <QResizeEvent>
#include <QStyle>
#include <QToolButton>

InfoBar::InfoBar(QWidget* parent)
    : QFrame(parent)
    , m_icon(new QLabel(this))
    , m_message(new QLabel(this))
    , m_buttons(new QHBoxLayout)
{
    setFrameShape(StyledPanel);
    setAutoFillBackground(true);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    m_message->setWordWrap(true);
    m_message->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_message->setTextFormat(Qt::PlainText);
    auto* close = new QToolButton(this);
    close->setAutoRaise(true);
    close->setIcon(style()->standardIcon(QStyle::SP_TitleBarCloseButton));
    close->setToolTip(tr("Dismiss"));
    close->setAccessibleName(tr("Dismiss the message"));
    connect(close, &QToolButton::clicked, this, &InfoBar::dismiss);

    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(8, 4, 4, 4);
    layout->addWidget(m_icon);
    layout->addWidget(m_message, 1);
    layout->addLayout(m_buttons);
    layout->addWidget(close);
    hide();
}

QSize InfoBar::sizeHint() const
{
    return {400, layout()->totalHeightForWidth(std::max(width(), 400))};
}

void InfoBar::resizeEvent(QResizeEvent* event)
{
    QFrame::resizeEvent(event);
    if (event->size().width() != event->oldSize().width())
        updateGeometry();
}

QString InfoBar::message() const
{
    return m_message->text();
}

void InfoBar::tell(Tone tone, const QString& message, const QStringList& details, const std::vector<Button>& buttons)
{
    while (QLayoutItem* old = m_buttons->takeAt(0)) {
        old->widget()->deleteLater();
        delete old;
    }
    const QStyle::StandardPixmap icons[]
        = {QStyle::SP_MessageBoxInformation, QStyle::SP_MessageBoxWarning, QStyle::SP_MessageBoxCritical};
    const int size = style()->pixelMetric(QStyle::PM_SmallIconSize, nullptr, this);
    m_icon->setPixmap(style()->standardIcon(icons[static_cast<int>(tone)]).pixmap(size));
    m_message->setText(message);
    setAccessibleName(message);
    std::vector<Button> all = buttons;
    if (!details.isEmpty())
        all.insert(all.begin(), {tr("Details…"), [this, details] { showDetails(details); }});
    for (const Button& button : all) {
        auto* widget = new QPushButton(button.text, this);
        connect(widget, &QPushButton::clicked, this, button.pressed);
        m_buttons->addWidget(widget);
    }
    QFrame::show();
    emit shownChanged(true);
}

void InfoBar::dismiss()
{
    hide();
    emit shownChanged(false);
}

void InfoBar::showDetails(const QStringList& details)
{
    auto* box = new QMessageBox(QMessageBox::Information, tr("Details"), message(), QMessageBox::Close, window());
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setTextFormat(Qt::PlainText);
    constexpr qsizetype kListed = 12;
    QString listed = QStringLiteral("• ") + details.mid(0, kListed).join(QStringLiteral("\n• "));
    if (details.size() > kListed) {
        listed += QStringLiteral("\n…");
        box->setDetailedText(details.join(u'\n'));
    }
    box->setInformativeText(listed);
    box->open();
}
