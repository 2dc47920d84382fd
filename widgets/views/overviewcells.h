#pragma once

#include "widgets/colours.h"
#include "widgets/views/overviewlayout.h"

#include <qcustomplot.h>

#include <optional>

// The values that a colour bar spans. Values far from most others are left beyond its ends, so that the differences of
// the rest can be seen.
struct ColourSpan {
    QCPRange range;
    bool below = false, above = false; // there are values beyond
};
// values: any; those that are no finite numbers do not count; with logarithmic colours zero and less lie below.
ColourSpan colourSpan(std::vector<double> values, bool logarithmic);

// Draws the cells of an overview and what is known of each.
class OverviewCells : public QCPAbstractPlottable {
public:
    struct State {
        std::optional<double> value; // none: not measured
        bool estimate = false;
        bool overridden = false; // a rule decides otherwise than the preset
        bool failed = false;
        QString text {}; // written into the cell if it is large enough
    };

    OverviewCells(QCPAxis* x, QCPAxis* y);

    OverviewLayout layout;
    std::vector<State> states; // per cell
    int current = -1;          // cell with the ring
    // How values become colours.
    QCPRange range {0, 1};
    bool logarithmic = false;
    bool worstIsLow = false;
    ColourMap map = ColourMap::Cividis;

    QColor colourOf(double value) const;
    QRectF rectOf(int cell) const;       // pixels
    int cellAt(const QPointF& at) const; // of pixels; -1 for none

    double selectTest(const QPointF& pos, bool onlySelectable, QVariant* details) const override;
    QCPRange getKeyRange(bool& found, QCP::SignDomain) const override;
    QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override;

protected:
    void draw(QCPPainter* painter) override;
    void drawLegendIcon(QCPPainter*, const QRectF&) const override { }

private:
    void drawCell(QCPPainter& painter, const QRectF& rect, const State& state) const;
    void drawMarks(QCPPainter& painter, const QRectF& rect, const State& state, const QColor& colour) const;
    bool textsFit() const;

    bool m_written = false; // the values stand in the cells
};
