#pragma once

#include <QColor>
#include <QPalette>
#include <QString>

#include <array>
#include <span>

class QBrush;

// Colours of the plots: readable in light and in dark and with any colour vision. Nothing is told by hue alone.

using ColourTable = std::array<QRgb, 256>; // from the least to the most

// For quantities from nothing to much; lightness rises evenly.
enum class ColourMap { Cividis, Viridis, Grey };
inline constexpr std::array kColourMaps {ColourMap::Cividis, ColourMap::Viridis, ColourMap::Grey};
QString nameOf(ColourMap map);
const ColourTable& colourTable(ColourMap map);
QColor colourAt(ColourMap map, double t); // t in [0, 1], clamped

// For differences about zero, orange below and purple above; the middle is the background of light or dark.
const ColourTable& divergingTable(bool dark);

// A window is dark if its base is darker than its text.
bool isDark(const QPalette& palette);
// Colours to tell series apart, at least 3:1 against the palette's background: Okabe and Ito's, darkened or lightened.
std::span<const QColor> seriesColours(const QPalette& palette);
enum Series { Blue, Vermillion, Green, Purple }; // of seriesColours()

QColor notANumberColour();                         // magenta
QBrush unmeasuredBrush(const QPalette& palette);   // hatched
QColor gridColour(const QPalette& palette);        // lines that must not compete with data
double contrast(const QColor& a, const QColor& b); // WCAG 2: 1 to 21
