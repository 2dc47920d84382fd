#include "widgets/views/matrixplot.h"

#include "widgets/text.h"

#include <algorithm>
#include <cmath>

namespace {

// Whole numbers in the middle of the cells they count: cell k reaches from k to k + 1.
class CellTicker final : public QCPAxisTicker {
protected:
    double getTickStep(const QCPRange& range) override
    {
        const double step = QCPAxisTicker::getTickStep(range);
        return step <= 1 ? 1 : step == std::floor(step) ? step : 2 * step; // 2.5 is none for whole numbers
    }
    int getSubTickCount(double) override { return 0; }
    QVector<double> createTickVector(double step, const QCPRange& range) override
    {
        QVector<double> ticks = QCPAxisTicker::createTickVector(step, range - 0.5);
        for (double& tick : ticks)
            tick += 0.5;
        return ticks;
    }
    QString getTickLabel(double tick, const QLocale&, QChar, int) override
    {
        return QString::number(std::lround(std::floor(tick)));
    }
};

constexpr double kNearest = 4;     // weights across, at least
constexpr double kFarthest = 1.25; // of the matrix, at most
constexpr double kNeighbours = 32; // columns shown beside one that was asked for

} // namespace

MatrixPlot::MatrixPlot(QWidget* parent)
    : Plot(parent)
    , m_matrix(new MatrixPlottable(xAxis, yAxis))
    , m_scale(addColourBar(*this))
    , m_across(new QCPItemStraightLine(this))
    , m_down(new QCPItemStraightLine(this))
{
    setAxes(tr("Column (input channel)"), tr("Row (output channel)"));
    yAxis->setRangeReversed(true);
    yAxis2->setRangeReversed(true);
    for (QCPAxis* axis : axisRect()->axes())
        axis->grid()->setVisible(false);
    for (QCPAxis* axis : {xAxis, yAxis})
        axis->setTicker(QSharedPointer<QCPAxisTicker>(new CellTicker));
    for (QCPAxis* axis : {xAxis2, yAxis2})
        axis->setTicks(false);
    for (QCPItemStraightLine* line : {m_across, m_down}) {
        line->setLayer(QLatin1String(kOverlay));
        line->setSelectable(false);
        line->setVisible(false);
    }
    setHome([this] { showAll(); });
    connect(this, &Plot::coloursChanged, this, &MatrixPlot::takePens);
    connect(this, &QCustomPlot::mouseMove, this, [this](QMouseEvent* event) { pointAt(event->position()); });
    for (QCPAxis* axis : {xAxis, yAxis})
        connect(axis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, [this, axis] {
            limit(axis, axis == xAxis ? m_cols : m_rows);
            emit moved();
        });
    QEvent palette(QEvent::PaletteChange); // for what was made after the base class
    changeEvent(&palette);
    // Only a layout knows how many pixels the axes leave; labels that change now are still drawn by this replot.
    connect(this, &QCustomPlot::afterLayout, this, [this] {
        if (const QSize size = axisRect()->size(); size != m_pixels) {
            m_pixels = size;
            emit moved();
        }
    });
}

void MatrixPlot::takePens()
{
    for (QCPItemStraightLine* line : {m_across, m_down})
        line->setPen(QPen(QColor(255, 0, 160), 1)); // stands out from all of the colour maps
}

void MatrixPlot::setShape(long rows, long cols)
{
    m_rows = rows;
    m_cols = cols;
    setCross(-1, -1);
    showAll();
}

void MatrixPlot::showAll()
{
    xAxis->setRange(0, std::max(m_cols, 1L));
    yAxis->setRange(0, std::max(m_rows, 1L));
    replot(rpQueuedReplot);
}

void MatrixPlot::setPicture(std::shared_ptr<const quern::Pyramid> pyramid, double columnsPerCell,
                            const ColourBar& colours)
{
    m_matrix->setPyramid(std::move(pyramid), columnsPerCell);
    m_matrix->setColours(colours);
    setColours(*m_scale, colours);
    replot(rpQueuedReplot);
}

void MatrixPlot::setCross(long row, long col)
{
    m_row = row;
    m_col = col;
    m_across->setVisible(row >= 0);
    m_down->setVisible(col >= 0);
    const double x = static_cast<double>(col) + 0.5, y = static_cast<double>(row) + 0.5;
    m_across->point1->setCoords(0, y);
    m_across->point2->setCoords(1, y);
    m_down->point1->setCoords(x, 0);
    m_down->point2->setCoords(x, 1);
    replotOverlay();
    emit crossMoved(row, col);
}

void MatrixPlot::showColumn(long col)
{
    if (col < 0 || col >= m_cols)
        return;
    const auto at = static_cast<double>(col) + 0.5;
    xAxis->setRange(at - kNeighbours, at + kNeighbours);
    setCross(m_row >= 0 ? m_row : 0, col);
    replot(rpQueuedReplot);
}

void MatrixPlot::limit(QCPAxis* axis, long size)
{
    const double most = std::max(static_cast<double>(size), kNearest) * kFarthest;
    const double margin = (most - static_cast<double>(size)) / 2;
    QCPRange range = axis->range();
    const double middle = range.center(), length = std::clamp(range.size(), std::min(kNearest, most), most);
    range = QCPRange(middle - length / 2, middle + length / 2).bounded(-margin, static_cast<double>(size) + margin);
    if (range != axis->range())
        axis->setRange(range);
}

QString MatrixPlot::reduction() const
{
    const QSizeF weights = m_matrix->weightsPerPixel();
    const auto count = [](double n) { return n > 1.05 && n < 9.5 ? figure(n, 2) : QString::number(std::lround(n)); };
    if (weights.width() > 1 || weights.height() > 1)
        return tr("each pixel = max of %1 × %2 weights")
            .arg(count(std::max(weights.height(), 1.0)), count(std::max(weights.width(), 1.0)));
    return tr("each weight = %1 × %2 pixels").arg(count(1 / weights.height()), count(1 / weights.width()));
}

void MatrixPlot::pointAt(const QPointF& at)
{
    const double col = std::floor(xAxis->pixelToCoord(at.x())), row = std::floor(yAxis->pixelToCoord(at.y()));
    const bool inside = axisRect()->rect().contains(at.toPoint()) && col >= 0 && row >= 0
        && col < static_cast<double>(m_cols) && row < static_cast<double>(m_rows);
    if (inside)
        setCross(static_cast<long>(row), static_cast<long>(col));
}

void MatrixPlot::leaveEvent(QEvent* event)
{
    Plot::leaveEvent(event);
    if (!hasFocus())
        setCross(-1, -1);
}

void MatrixPlot::moveCross(int cols, int rows)
{
    if (m_rows == 0 || m_cols == 0)
        return;
    // A pixel's worth of weights, or one.
    const QSizeF step = m_matrix->weightsPerPixel();
    const auto next = [](long now, int by, double weights, long size, const QCPRange& shown) {
        if (now < 0)
            return std::clamp(static_cast<long>(shown.center()), 0L, size - 1);
        return std::clamp(now + by * std::max(1L, std::lround(weights)), 0L, size - 1);
    };
    const long col = next(m_col, cols, step.width(), m_cols, xAxis->range());
    const long row = next(m_row, rows, step.height(), m_rows, yAxis->range());
    // Follow the cross out of the view.
    const auto follow = [](QCPAxis* axis, double at) {
        const QCPRange range = axis->range();
        if (!range.contains(at))
            axis->moveRange(at < range.lower ? at - range.lower - range.size() / 4
                                             : at - range.upper + range.size() / 4);
    };
    follow(xAxis, static_cast<double>(col) + 0.5);
    follow(yAxis, static_cast<double>(row) + 0.5);
    setCross(row, col);
    replot(rpQueuedReplot);
}

void MatrixPlot::keyPressEvent(QKeyEvent* event)
{
    if (event->modifiers() != Qt::NoModifier && event->modifiers() != Qt::ShiftModifier)
        return Plot::keyPressEvent(event);
    const int by = event->modifiers() & Qt::ShiftModifier ? 16 : 1;
    switch (event->key()) {
    case Qt::Key_Left:
        return moveCross(-by, 0);
    case Qt::Key_Right:
        return moveCross(by, 0);
    case Qt::Key_Up:
        return moveCross(0, -by);
    case Qt::Key_Down:
        return moveCross(0, by);
    case Qt::Key_Escape:
        return setCross(-1, -1);
    default:
        Plot::keyPressEvent(event);
    }
}
