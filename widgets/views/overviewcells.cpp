#include "widgets/views/overviewcells.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr double kMargin = 6; // pixels beside a text, both sides together
constexpr double kSmall = 9;  // pixels below which marks would hide the colour

// A colour that stands out against `ground`.
QColor markOn(const QColor& ground)
{
    return contrast(ground, Qt::black) > contrast(ground, Qt::white) ? Qt::black : Qt::white;
}

} // namespace

ColourSpan colourSpan(std::vector<double> values, bool logarithmic)
{
    constexpr double kFence = 1.5;       // quartile distances beyond the quartiles (Tukey 1977, 2D)
    constexpr double kLeastRatio = 1.25; // that a logarithmic bar spans: less is no difference to see
    const bool none = logarithmic && std::ranges::any_of(values, [](double v) { return v <= 0; });
    std::erase_if(values, [&](double v) { return !std::isfinite(v) || (logarithmic && !(v > 0)); });
    if (values.empty())
        return {logarithmic ? QCPRange(0.1, 1) : QCPRange(0, 1), none};
    if (logarithmic)
        std::ranges::transform(values, values.begin(), [](double v) { return std::log(v); });
    std::ranges::sort(values);
    const auto at = [&](double share) {
        return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
    };
    double low = values.front(), high = values.back();
    if (const double spread = at(0.75) - at(0.25); spread > 0) {
        // The last values inside the fences, so that the bar ends at values that occur.
        low = *std::ranges::lower_bound(values, at(0.25) - kFence * spread);
        high = *std::prev(std::ranges::upper_bound(values, at(0.75) + kFence * spread));
    }
    ColourSpan span {{}, none || low > values.front(), high < values.back()};
    const double least = logarithmic ? std::log(kLeastRatio) : std::max(std::abs(high), 1.0) * 1e-3;
    if (high - low < least) {
        const double middle = (low + high) / 2;
        low = middle - least / 2;
        high = middle + least / 2;
    }
    span.range = logarithmic ? QCPRange(std::exp(low), std::exp(high)) : QCPRange(low, high);
    return span;
}

OverviewCells::OverviewCells(QCPAxis* x, QCPAxis* y)
    : QCPAbstractPlottable(x, y)
{
    setSelectable(QCP::stNone);
    setAntialiased(false);
}

QColor OverviewCells::colourOf(double value) const
{
    if (std::isnan(value))
        return notANumberColour();
    double t = 0;
    if (logarithmic)
        t = value > 0 ? std::log(value / range.lower) / std::log(range.upper / range.lower) : 0.0;
    else
        t = (value - range.lower) / range.size();
    if (std::isnan(t))
        t = 0.5; // an empty range, or infinity in an infinite one
    return colourAt(map, worstIsLow ? 1 - t : t);
}

QRectF OverviewCells::rectOf(int cell) const
{
    const auto& at = layout.cells[static_cast<std::size_t>(cell)];
    const QPointF a = coordsToPixels(at.column - 0.5, at.row - 0.5), b = coordsToPixels(at.column + 0.5, at.row + 0.5);
    const double gap = std::min(std::abs(b.x() - a.x()), std::abs(b.y() - a.y())) >= 5 ? 1 : 0;
    // Whole pixels, so that neighbours neither overlap nor leave hairlines.
    const QPointF left(std::round(a.x()), std::round(a.y())), right(std::round(b.x()), std::round(b.y()));
    return QRectF(left, right).normalized().adjusted(0, 0, -gap, -gap);
}

int OverviewCells::cellAt(const QPointF& at) const
{
    if (!keyAxis() || !QRectF(keyAxis()->axisRect()->rect()).contains(at))
        return -1;
    double column = 0, row = 0;
    pixelsToCoords(at, column, row);
    return layout.cellAt(static_cast<int>(std::floor(column + 0.5)), static_cast<int>(std::floor(row + 0.5)));
}

double OverviewCells::selectTest(const QPointF& pos, bool onlySelectable, QVariant*) const
{
    return !onlySelectable && cellAt(pos) >= 0 ? 0 : -1;
}

QCPRange OverviewCells::getKeyRange(bool& found, QCP::SignDomain) const
{
    found = layout.columns > 0;
    return {-0.5, layout.columns - 0.5};
}

QCPRange OverviewCells::getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const
{
    found = layout.rows > 0;
    return {-0.5, layout.rows - 0.5};
}

void OverviewCells::draw(QCPPainter* painter)
{
    m_written = textsFit();
    for (std::size_t i = 0; i < layout.cells.size() && i < states.size(); ++i)
        drawCell(*painter, rectOf(static_cast<int>(i)), states[i]);
    if (current < 0 || current >= static_cast<int>(layout.cells.size()))
        return;
    // Two colours, so that the ring shows on any cell.
    // Inside the cell: at the border of the grid nothing beyond it is drawn.
    const QRectF rect = rectOf(current);
    painter->setBrush(Qt::NoBrush);
    painter->setPen(QPen(parentPlot()->palette().color(QPalette::Text), 2));
    painter->drawRect(rect.adjusted(1, 1, -1, -1));
    painter->setPen(QPen(parentPlot()->palette().color(QPalette::Base), 1));
    painter->drawRect(rect.adjusted(2, 2, -3, -3));
}

void OverviewCells::drawCell(QCPPainter& painter, const QRectF& rect, const State& state) const
{
    const QPalette palette = parentPlot()->palette();
    QColor mark = palette.color(QPalette::Text);
    painter.setPen(Qt::NoPen);
    if (state.value) {
        const QColor ground = colourOf(*state.value);
        painter.fillRect(rect, ground);
        mark = markOn(ground);
    } else {
        painter.fillRect(rect, unmeasuredBrush(palette));
    }
    drawMarks(painter, rect, state, mark);
}

// Whether the values can be written into the cells: into all of them or none.
bool OverviewCells::textsFit() const
{
    const QFontMetricsF metrics(parentPlot()->font());
    for (std::size_t i = 0; i < layout.cells.size() && i < states.size(); ++i) {
        const QRectF rect = rectOf(static_cast<int>(i));
        if (metrics.horizontalAdvance(states[i].text) + kMargin > rect.width() || metrics.height() > rect.height())
            return false;
    }
    return true;
}

void OverviewCells::drawMarks(QCPPainter& painter, const QRectF& rect, const State& state, const QColor& colour) const
{
    const QString text = state.failed ? QStringLiteral("!") : m_written ? state.text : QString();
    painter.setFont(parentPlot()->font());
    painter.setPen(QPen(colour, 1));
    painter.drawText(rect, Qt::AlignCenter, text);
    const QPalette palette = parentPlot()->palette();
    const double size = std::min(rect.width(), rect.height());
    if (state.value && state.estimate) { // a corner cut off
        const double corner = size < kSmall ? size / 2 : std::min(size / 2.5, 9.0);
        painter.setAntialiasing(true);
        painter.setPen(Qt::NoPen);
        painter.setBrush(palette.brush(QPalette::Base));
        const QPointF c = rect.bottomRight();
        painter.drawPolygon(QPolygonF({c, c - QPointF(corner, 0), c - QPointF(0, corner)}));
    }
    if (state.overridden) {
        const double radius = std::clamp(size / 8, 1.0, 4.0);
        painter.setAntialiasing(true);
        painter.setPen(Qt::NoPen);
        painter.setBrush(colour);
        // Beside the text, or where it would be.
        const QPointF corner = rect.topLeft() + QPointF(2 * radius, 2 * radius);
        painter.drawEllipse(text.isEmpty() ? rect.center() : corner, radius, radius);
    }
    painter.setAntialiasing(false);
}
