#pragma once

#include <qcustomplot.h>

// Labels of one axis with as many decimals each: 0.0700 beside 0.0725.
class EvenTicker final : public QCPAxisTicker {
protected:
    QVector<QString> createLabelVector(const QVector<double>& ticks, const QLocale& locale, QChar format,
                                       int precision) override;
};
