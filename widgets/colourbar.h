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

// Triangles at the ends of a bar: there are values beyond them.
class ColourBarEnds final : public QCPAbstractItem {
public:
    ColourBarEnds(QCustomPlot& plot, const QCPColorScale& scale);

    void setColours(const QColor& below, const QColor& above); // invalid: no triangle there
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    const QCPColorScale& m_scale;
    QColor m_below, m_above;
};

// At the right of the plot's axis rectangle, as high as that.
QCPColorScale* addColourBar(QCustomPlot& plot);
void setColours(QCPColorScale& scale, const ColourBar& bar);
