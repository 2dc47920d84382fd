#include "widgets/colours.h"

#include <QBrush>
#include <QCoreApplication>

#include <algorithm>
#include <cmath>

namespace {

// Cividis: Nunez, Anderton and Renslow 2018, doi 10.1371/journal.pone.0199239. Viridis: Smith and van der Walt, CC0.
constexpr std::array<QRgb, 10> kCividis {0xff00224e, 0xff123570, 0xff3b496c, 0xff575d6d, 0xff707173,
                                         0xff8a8678, 0xffa59c74, 0xffc3b369, 0xffe1cc55, 0xfffee838};
constexpr std::array<QRgb, 10> kViridis {0xff440154, 0xff482878, 0xff3e4989, 0xff31688e, 0xff26828e,
                                         0xff1f9e89, 0xff35b779, 0xff6ece58, 0xffb5de2b, 0xfffde725};
// Steps of CIE lightness, from near black to white.
constexpr std::array<QRgb, 6> kGrey {0xff111111, 0xff3b3b3b, 0xff656565, 0xff919191, 0xffc6c6c6, 0xffffffff};
// PuOr by Cynthia Brewer, colorbrewer2.org (Apache 2.0), orange first; the middle is ours.
constexpr std::array<QRgb, 11> kLightMiddle {0xff7f3b08, 0xffb35806, 0xffe08214, 0xfffdb863, 0xfffee0b6, 0xffffffff,
                                             0xffd8daeb, 0xffb2abd2, 0xff8073ac, 0xff542788, 0xff2d004b};
// The same hues with lightness turned round.
constexpr std::array<QRgb, 11> kDarkMiddle {0xfffee0b6, 0xfffdb863, 0xffe08214, 0xffb35806, 0xff7f3b08, 0xff1e1e1e,
                                            0xff542788, 0xff6d4da0, 0xff8073ac, 0xffb2abd2, 0xffd8daeb};

int between(int a, int b, double t)
{
    return static_cast<int>(std::lround(a + (b - a) * t));
}

ColourTable interpolated(std::span<const QRgb> stops)
{
    ColourTable table {};
    for (std::size_t i = 0; i < table.size(); ++i) {
        const double at = static_cast<double>(i) / (table.size() - 1) * static_cast<double>(stops.size() - 1);
        const auto left = std::min(static_cast<std::size_t>(at), stops.size() - 2);
        const double t = at - static_cast<double>(left);
        const QRgb a = stops[left], b = stops[left + 1];
        table[i] = qRgb(between(qRed(a), qRed(b), t), between(qGreen(a), qGreen(b), t), between(qBlue(a), qBlue(b), t));
    }
    return table;
}

double luminance(const QColor& colour)
{
    const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
}

} // namespace

QString nameOf(ColourMap map)
{
    switch (map) {
    case ColourMap::Viridis:
        return QCoreApplication::translate("Colours", "Viridis");
    case ColourMap::Grey:
        return QCoreApplication::translate("Colours", "Grey");
    case ColourMap::Cividis:
        break;
    }
    return QCoreApplication::translate("Colours", "Cividis");
}

const ColourTable& colourTable(ColourMap map)
{
    static const std::array tables {interpolated(kCividis), interpolated(kViridis), interpolated(kGrey)};
    return tables.at(static_cast<std::size_t>(map));
}

QColor colourAt(ColourMap map, double t)
{
    const ColourTable& table = colourTable(map);
    return QColor::fromRgb(table.at(static_cast<std::size_t>(std::lround(std::clamp(t, 0.0, 1.0) * 255.0))));
}

const ColourTable& divergingTable(bool dark)
{
    static const std::array tables {interpolated(kLightMiddle), interpolated(kDarkMiddle)};
    return tables.at(dark ? 1 : 0);
}

bool isDark(const QPalette& palette)
{
    return luminance(palette.color(QPalette::Base)) < luminance(palette.color(QPalette::Text));
}

std::span<const QColor> seriesColours(const QPalette& palette)
{
    // Okabe and Ito 2008 in the order of enum Series; on white their purple and green are darkened a little for 3:1
    // with a margin, on dark grounds blue is lightened.
    static const std::array light {QColor(0, 114, 178), QColor(203, 86, 0), QColor(0, 133, 97), QColor(176, 90, 142)};
    static const std::array dark {QColor(86, 180, 233), QColor(240, 128, 48), QColor(0, 185, 136),
                                  QColor(221, 150, 191)};
    return isDark(palette) ? std::span<const QColor>(dark) : std::span<const QColor>(light);
}

QColor notANumberColour()
{
    return {255, 0, 255};
}

QBrush unmeasuredBrush(const QPalette& palette)
{
    QColor line = palette.color(QPalette::Text);
    line.setAlpha(90);
    return {line, Qt::BDiagPattern};
}

QColor gridColour(const QPalette& palette)
{
    QColor line = palette.color(QPalette::Text);
    line.setAlpha(36);
    return line;
}

double contrast(const QColor& a, const QColor& b)
{
    const double la = luminance(a), lb = luminance(b);
    return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}
