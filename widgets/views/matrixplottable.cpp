#include "widgets/views/matrixplottable.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace {

constexpr std::size_t kColours = 1 << 15; // non-negative floats by their upper 16 bits
constexpr long kProbe = 128;              // pixels each way that usefulRange looks at

float fromUpperHalf(std::size_t bits)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits << 16));
}

std::size_t upperHalf(float value)
{
    return std::bit_cast<std::uint32_t>(value) >> 16 & (kColours - 1);
}

} // namespace

MatrixPlottable::MatrixPlottable(QCPAxis* columns, QCPAxis* rows)
    : QCPAbstractPlottable(columns, rows)
{
    setSelectable(QCP::stNone);
    setColours({});
}

void MatrixPlottable::setPyramid(std::shared_ptr<const quern::Pyramid> pyramid, double columnsPerCell)
{
    m_pyramid = std::move(pyramid);
    m_columnsPerCell = columnsPerCell;
}

void MatrixPlottable::setColours(const ColourBar& colours)
{
    m_colours.resize(kColours);
    const auto& [low, high] = colours.range;
    for (std::size_t i = 0; i < kColours; ++i) {
        const double value = fromUpperHalf(i);
        const double t = colours.logarithmic ? (value > 0 ? std::log(value / low) / std::log(high / low) : 0.0)
                                             : (value - low) / (high - low);
        m_colours[i] = std::isfinite(value) ? colourAt(colours.map, t).rgb() : notANumberColour().rgb();
    }
}

QCPRange MatrixPlottable::usefulRange(const quern::Pyramid& pyramid, bool logarithmic)
{
    const double high = std::isfinite(pyramid.largest()) && pyramid.largest() > 0 ? pyramid.largest() : 1.0;
    if (!logarithmic || pyramid.rows() == 0 || pyramid.cols() == 0)
        return {logarithmic ? high * 1e-3 : 0, high};
    const long rows = std::min(kProbe, pyramid.rows()), cols = std::min(kProbe, pyramid.cols());
    std::vector<float> values(static_cast<std::size_t>(rows * cols));
    pyramid.window({0, 0, static_cast<double>(pyramid.rows()), static_cast<double>(pyramid.cols())}, rows, cols,
                   values.data());
    std::erase_if(values, [](float v) { return !(v > 0) || !std::isfinite(v); });
    if (values.empty())
        return {high * 1e-3, high};
    // Of maxima a twentieth lies below; an eighth of that is what most single weights exceed.
    const auto twentieth = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 20);
    std::ranges::nth_element(values, twentieth);
    return {std::max(std::min(*twentieth / 8.0, high / 4), high * 1e-5), high};
}

QSizeF MatrixPlottable::weightsPerPixel() const
{
    const QCPAxisRect& area = *keyAxis()->axisRect();
    return {keyAxis()->range().size() / std::max(area.width(), 1),
            valueAxis()->range().size() / std::max(area.height(), 1)};
}

QCPRange MatrixPlottable::getKeyRange(bool& found, QCP::SignDomain) const
{
    found = m_pyramid != nullptr;
    return {0, found ? static_cast<double>(m_pyramid->cols()) * m_columnsPerCell : 1};
}

QCPRange MatrixPlottable::getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const
{
    found = m_pyramid != nullptr;
    return {0, found ? static_cast<double>(m_pyramid->rows()) : 1};
}

void MatrixPlottable::draw(QCPPainter* painter)
{
    if (!m_pyramid || m_pyramid->rows() == 0 || m_pyramid->cols() == 0)
        return;
    bool found = false;
    const QCPRange cols = getKeyRange(found, QCP::sdBoth), rows = getValueRange(found, QCP::sdBoth, {});
    const QPointF a = coordsToPixels(cols.lower, rows.lower), b = coordsToPixels(cols.upper, rows.upper);
    const QRect matrix = QRectF(a, b).normalized().toRect();
    QRect visible = matrix & clipRect();
    if (visible.isEmpty())
        return;
    // As many pixels as the device has: the screen's ratio, and the scale of an exported picture.
    const double ratio = painter->device()->devicePixelRatioF() * painter->transform().m11();
    const QImage image = picture(visible, ratio);
    painter->drawImage(QRectF(visible), image, QRectF(image.rect()));
}

QImage MatrixPlottable::picture(const QRect& pixels, double pixelRatio)
{
    const long width = std::max(1L, std::lround(pixels.width() * pixelRatio));
    const long height = std::max(1L, std::lround(pixels.height() * pixelRatio));
    double left = 0, top = 0, right = 0, bottom = 0;
    pixelsToCoords(pixels.left(), pixels.top(), left, top);
    pixelsToCoords(pixels.left() + pixels.width(), pixels.top() + pixels.height(), right, bottom);
    // Not outside: a pixel there would be no number, which is what NaN weights are.
    const auto rows = static_cast<double>(m_pyramid->rows()), cols = static_cast<double>(m_pyramid->cols());
    left = std::clamp(left / m_columnsPerCell, 0.0, cols);
    right = std::clamp(right / m_columnsPerCell, 0.0, cols);
    top = std::clamp(top, 0.0, rows);
    bottom = std::clamp(bottom, 0.0, rows);

    m_values.resize(static_cast<std::size_t>(width * height));
    m_pyramid->window({top, left, bottom - top, right - left}, height, width, m_values.data());
    QImage image(static_cast<int>(width), static_cast<int>(height), QImage::Format_RGB32);
    for (long y = 0; y < height; ++y) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(static_cast<int>(y)));
        const float* values = m_values.data() + y * width;
        for (long x = 0; x < width; ++x)
            line[x] = m_colours[upperHalf(values[x])];
    }
    return image;
}
