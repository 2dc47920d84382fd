#include "widgets/methods.h"

#include "core/secondmoments.h"

#include <QCoreApplication>

namespace {

struct Methods {
    Q_DECLARE_TR_FUNCTIONS(Methods)
};

} // namespace

QString whyNot(const quern::Quantizer& method, const quern::BlockFormat* format, bool moments)
{
    if (!format || !method.supports(*format))
        return Methods::tr("Does not work on this format.");
    if (method.needs == quern::Needs::SecondMoments && !moments)
        return Methods::tr("Needs a calibration with the second moments of this tensor's inputs.");
    return {};
}

QString whyNot(const quern::Quantizer& method, const quern::Calibration* calibration)
{
    if (method.needs == quern::Needs::SecondMoments && !quern::hasMoments(calibration))
        return Methods::tr("Needs a calibration with second moments of the inputs (Model, Calibrate).");
    return {};
}

QString summaryOf(const quern::Quantizer& method)
{
    return QCoreApplication::translate("core", method.summary);
}
