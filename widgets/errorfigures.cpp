#include "widgets/errorfigures.h"

#include "widgets/text.h"

#include <QCoreApplication>

namespace {

struct ErrorFigures {
    Q_DECLARE_TR_FUNCTIONS(ErrorFigures)
};

} // namespace

ErrorFigure sqnr()
{
    return {ErrorFigures::tr("SQNR"),
            ErrorFigures::tr("Signal to quantization noise ratio of the weights; 6 dB are worth about one bit"),
            [](const quern::Distortion& distortion) {
                return distortion.errorSquares > 0 ? ErrorFigures::tr("%1 dB").arg(fixed(distortion.sqnr(), 1))
                                                   : ErrorFigures::tr("exact");
            }};
}

ErrorFigure outputError()
{
    return {ErrorFigures::tr("Output error ρ"),
            ErrorFigures::tr("Mean square of the output's error over that of the output, on the calibration's inputs"),
            [](const quern::Distortion& distortion) {
                return distortion.outputPower > 0 ? figure(distortion.rho()) : QStringLiteral("–");
            }};
}
