#pragma once

#include <QImage>

class Plot;

// The plot as on the screen, with `scale` times as many pixels each way.
QImage pictureOf(Plot& plot, double scale);

// Writes a picture (PNG), or a drawing (SVG, PDF), by the path's suffix. Returns what went wrong, or an empty string.
QString savePlot(Plot& plot, const QString& path, double scale);

// Asks where to, and with how many pixels.
void exportPlot(Plot& plot, const QString& title);
