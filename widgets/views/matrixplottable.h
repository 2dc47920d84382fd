#pragma once

#include "core/pyramid.h"
#include "widgets/colourbar.h"

#include <memory>

// A matrix as a picture of any zoom: each pixel has the colour of the largest magnitude among its weights, so that no
// outlier disappears. Draws one image of the visible part; never keeps more.
class MatrixPlottable final : public QCPAbstractPlottable {
public:
    MatrixPlottable(QCPAxis* columns, QCPAxis* rows); // the latter reversed: row 0 at the top

    // columnsPerCell: weights that a column of the pyramid stands for. Null: draws nothing.
    void setPyramid(std::shared_ptr<const quern::Pyramid> pyramid, double columnsPerCell);
    void setColours(const ColourBar& colours);

    // Values between which colours tell most: of the whole matrix, reduced to some thousand pixels.
    static QCPRange usefulRange(const quern::Pyramid& pyramid, bool logarithmic);
    // Weights across and down in a pixel of the plot, now; below 1: pixels per weight.
    QSizeF weightsPerPixel() const;

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }
    QCPRange getKeyRange(bool& found, QCP::SignDomain) const override;
    QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override;

protected:
    void draw(QCPPainter* painter) override;
    void drawLegendIcon(QCPPainter*, const QRectF&) const override { }

private:
    QImage picture(const QRect& pixels, double pixelRatio);

    std::shared_ptr<const quern::Pyramid> m_pyramid;
    double m_columnsPerCell = 1;
    std::vector<QRgb> m_colours; // by the upper half of a float's bits, sign excluded
    std::vector<float> m_values; // of the last picture, reused
};
