#pragma once

#include "widgets/colours.h"

#include <qcustomplot.h>

// The bar beside a plot that says which colour is which value.
struct ColourBar {
    ColourMap map = ColourMap::Cividis;
    QCPRange range {0, 1};
    bool logarithmic = false;
    bool inverted = false; // the least is bright
    QString label;         // with the unit
};

// At the right of the plot's axis rectangle, as high as that.
QCPColorScale* addColourBar(QCustomPlot& plot);
void setColours(QCPColorScale& scale, const ColourBar& bar);
