#include "widgets/eventicker.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace {

constexpr int kDecimals = 5;     // more are written as powers of ten
constexpr double kLargest = 1e5; // and so are numbers from here on

// Of the coarsest decimal fraction that all ticks are multiples of; none if that is too fine.
std::optional<int> decimalsOf(const QVector<double>& ticks)
{
    for (int decimals = 0; decimals <= kDecimals; ++decimals)
        if (std::ranges::all_of(ticks, [unit = std::pow(10.0, decimals)](double tick) {
                return std::abs(tick * unit - std::round(tick * unit)) < 1e-6;
            }))
            return decimals;
    return std::nullopt;
}

} // namespace

QVector<QString> EvenTicker::createLabelVector(const QVector<double>& ticks, const QLocale& locale, QChar format,
                                               int precision)
{
    const std::optional<int> decimals = decimalsOf(ticks);
    const bool large = std::ranges::any_of(ticks, [](double tick) { return std::abs(tick) >= kLargest; });
    if (!decimals || large)
        return QCPAxisTicker::createLabelVector(ticks, locale, format, precision);
    QVector<QString> labels;
    for (const double tick : ticks)
        labels.append(locale.toString(tick, 'f', *decimals));
    return labels;
}
