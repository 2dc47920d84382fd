#include "widgets/text.h"

#include <QCoreApplication>
#include <QLocale>

#include <cmath>

namespace {

// Decimal exponents of figures written without one.
constexpr int kLeastExponent = -4, kMostExponent = 8;

QString superscript(int number)
{
    static const QString kDigits = QStringLiteral("⁰¹²³⁴⁵⁶⁷⁸⁹");
    QString raised;
    for (const QChar digit : QString::number(number))
        raised += digit == u'-' ? QChar(u'⁻') : kDigits[digit.digitValue()];
    return raised;
}

} // namespace

QString sentence(const quern::Error& error)
{
    const QString pattern = QCoreApplication::translate("core", error.text());
    QString result;
    for (qsizetype i = 0; i < pattern.size(); ++i) {
        const int number = pattern[i] == u'%' && i + 1 < pattern.size() ? pattern[i + 1].digitValue() : -1;
        if (number >= 1 && static_cast<std::size_t>(number) <= error.args().size()) {
            result += text(error.args()[static_cast<std::size_t>(number - 1)]);
            ++i;
        } else {
            result += pattern[i];
        }
    }
    return result;
}

QString text(std::string_view utf8)
{
    return QString::fromUtf8(utf8.data(), static_cast<qsizetype>(utf8.size()));
}

QString tensorsText(int count)
{
    return count == 1 ? QCoreApplication::translate("Tensors", "one tensor")
                      : QCoreApplication::translate("Tensors", "%n tensors", "", count);
}

QString bytesText(std::uint64_t bytes)
{
    return QLocale().formattedDataSize(static_cast<qint64>(bytes), 2, QLocale::DataSizeIecFormat);
}

QString shapeText(const quern::Tensor& tensor)
{
    QStringList sizes;
    for (const long size : tensor.shape)
        sizes << QString::number(size);
    return sizes.isEmpty() ? QStringLiteral("1") : sizes.join(QStringLiteral(" × "));
}

QString figure(double value, int digits)
{
    if (!std::isfinite(value))
        return QStringLiteral("–");
    if (value == 0)
        return QStringLiteral("0");
    // The exponent after rounding: 0.09996 is 0.100 in three digits.
    const QString rounded = QString::number(value, 'e', digits - 1);
    const int exponent = QStringView(rounded).mid(rounded.indexOf(u'e') + 1).toInt();
    if (exponent >= kLeastExponent && exponent <= kMostExponent)
        return QLocale().toString(value, 'f', std::max(digits - 1 - exponent, 0));
    return QStringLiteral("%1·10%2").arg(QLocale().toString(value / std::pow(10.0, exponent), 'f', digits - 1),
                                         superscript(exponent));
}

QString fixed(double value, int decimals)
{
    return std::isfinite(value) ? QLocale().toString(value, 'f', decimals) : QStringLiteral("–");
}

QString durationText(double seconds)
{
    const auto total = static_cast<long>(std::lround(std::max(seconds, 0.0)));
    if (total < 60)
        return QCoreApplication::translate("Duration", "%1 s").arg(total);
    if (total < 3600)
        return QCoreApplication::translate("Duration", "%1 min %2 s").arg(total / 60).arg(total % 60);
    return QCoreApplication::translate("Duration", "%1 h %2 min").arg(total / 3600).arg(total / 60 % 60);
}
