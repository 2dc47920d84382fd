#include "app/theme.h"

#include <QApplication>
#include <QPainter>
#include <QPalette>
#include <QProxyStyle>
#include <QStyleOption>

namespace {

struct Colours {
    QRgb window, base, alternate, button, text, dim, highlight, highlightedText, link, tip;
};

constexpr Colours kLight {0xfff3f3f2, 0xffffffff, 0xfff5f6f8, 0xffebebea, 0xff1c1d1f,
                          0xff6b6d70, 0xff1f6fb2, 0xffffffff, 0xff1a5f9e, 0xfffffbe6};
constexpr Colours kDark {0xff26282b, 0xff1b1d1f, 0xff212326, 0xff34373b, 0xffe4e5e7,
                         0xff9a9da1, 0xff2f7fc4, 0xffffffff, 0xff6cb4f0, 0xff3a3d41};

QPalette palette(const Colours& c)
{
    QPalette palette(QColor(c.button), QColor(c.window));
    for (const auto& [role, colour] : {std::pair {QPalette::Window, c.window},
                                       {QPalette::WindowText, c.text},
                                       {QPalette::Base, c.base},
                                       {QPalette::AlternateBase, c.alternate},
                                       {QPalette::Text, c.text},
                                       {QPalette::Button, c.button},
                                       {QPalette::ButtonText, c.text},
                                       {QPalette::Highlight, c.highlight},
                                       {QPalette::HighlightedText, c.highlightedText},
                                       {QPalette::Link, c.link},
                                       {QPalette::ToolTipBase, c.tip},
                                       {QPalette::ToolTipText, c.text},
                                       {QPalette::PlaceholderText, c.dim}})
        palette.setColor(role, QColor(colour));
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
        palette.setColor(QPalette::Disabled, role, QColor(c.dim));
    return palette;
}

bool isDark(const QPalette& palette)
{
    return palette.color(QPalette::Window).lightness() < 128;
}

// Fusion outlines boxes and circles darker than the window, which nobody sees where that is dark.
class Outlined final : public QProxyStyle {
public:
    Outlined()
        : QProxyStyle(QStringLiteral("Fusion"))
    {
    }

    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override
    {
        QProxyStyle::drawPrimitive(element, option, painter, widget);
        const bool circle = element == PE_IndicatorRadioButton, box = element == PE_IndicatorCheckBox;
        if (!(circle || box) || !isDark(option->palette))
            return;
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing, circle);
        painter->setBrush(Qt::NoBrush);
        painter->setPen(option->palette.color(QPalette::PlaceholderText));
        const QRectF outline = QRectF(option->rect).adjusted(0.5, 0.5, -0.5, -0.5);
        if (circle)
            painter->drawEllipse(outline);
        else
            painter->drawRect(outline);
        painter->restore();
    }
};

bool systemIsDark()
{
    static const bool dark = isDark(QApplication::palette());
    return dark;
}

} // namespace

void applyTheme(Theme theme)
{
    const bool dark = theme == Theme::Dark || (theme == Theme::System && systemIsDark());
    QApplication::setStyle(new Outlined); // which the application takes over
    QApplication::setPalette(palette(dark ? kDark : kLight));
}
