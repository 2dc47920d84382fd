#pragma once

#include "core/distortion.h"

#include <QString>

// A figure of a distortion: what the window calls it, what it is, and how it is written.
struct ErrorFigure {
    QString name, tip;
    QString (*written)(const quern::Distortion& distortion);
};

ErrorFigure sqnr();
ErrorFigure outputError(); // ρ; "–" where the inputs are not known
