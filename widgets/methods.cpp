#include "widgets/methods.h"

#include "core/calibration.h"

#include <QCoreApplication>

#include <algorithm>

namespace {

struct Methods {
    Q_DECLARE_TR_FUNCTIONS(Methods)
};

} // namespace

bool hasMoments(const quern::InputStats* inputs)
{
    return inputs && !inputs->hessians.empty();
}

bool hasMoments(const quern::Calibration* calibration)
{
    return calibration
        && std::ranges::any_of(calibration->inputs, [](const auto& input) { return hasMoments(&input.second); });
}

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
    if (method.needs == quern::Needs::SecondMoments && !hasMoments(calibration))
        return Methods::tr("Needs a calibration with second moments of the inputs (Model, Calibrate).");
    return {};
}

QString summaryOf(const quern::Quantizer& method)
{
    return QCoreApplication::translate("core", method.summary);
}
