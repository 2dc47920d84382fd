#pragma once

#include "widgets/plot.h"
#include "widgets/views/matrixplottable.h"

// A matrix, columns to the right and rows downwards, with a cross at one weight.
class MatrixPlot final : public Plot {
    Q_OBJECT

public:
    explicit MatrixPlot(QWidget* parent);

    void setShape(long rows, long cols); // shows all of it
    void setPicture(std::shared_ptr<const quern::Pyramid> pyramid, double columnsPerCell, const ColourBar& colours);
    void setCross(long row, long col); // -1: none
    void showColumn(long col);         // near, with the cross on it

    long crossRow() const { return m_row; }
    long crossCol() const { return m_col; }
    QString reduction() const; // "each pixel = max of 9 × 5 weights"

signals:
    void crossMoved(long row, long col); // -1: left the matrix
    void moved();                        // another part is shown, or on another number of pixels

protected:
    void keyPressEvent(QKeyEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void showAll();
    void limit(QCPAxis* axis, long size);
    void pointAt(const QPointF& at);
    void moveCross(int cols, int rows);
    void takePens();

    MatrixPlottable* m_matrix;
    QCPColorScale* m_scale;
    QCPItemStraightLine *m_across, *m_down;
    long m_rows = 0, m_cols = 0;
    QSize m_pixels; // of the axis rectangle when it was laid out last
    long m_row = -1, m_col = -1;
};
