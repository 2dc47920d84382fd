#pragma once

#include "widgets/colourbar.h"
#include "widgets/plot.h"
#include "widgets/views/overviewcells.h"

// The overview's drawing: cells, names of layers and kinds, and a bar that says what the colours mean.
class OverviewPlot final : public Plot {
public:
    explicit OverviewPlot(QWidget* parent);

    OverviewCells* cells() const { return m_cells; }
    void takeLayout(OverviewLayout layout); // axes follow
    // The whole ramp over the span; label: what the values are, with the unit.
    void takeSpan(const ColourSpan& span, bool logarithmic, const QString& label);
    // What lies beside the cells; -1 for none.
    int layerAt(const QPointF& at) const;
    int kindAt(const QPointF& at) const;

    std::function<bool(int key)> key; // false: not ours

protected:
    void keyPressEvent(QKeyEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    void styleAxes();
    void fitTicks();

    OverviewCells* m_cells;
    QCPColorScale* m_scale;
    ColourBarEnds* m_ends;
};
