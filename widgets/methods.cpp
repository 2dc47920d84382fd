#include "widgets/methods.h"

#include "core/error.h"
#include "core/rewrite.h"
#include "core/rewriting.h"
#include "core/secondmoments.h"
#include "widgets/text.h"

#include <QCoreApplication>
#include <QLocale>

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

QString whyNot(const quern::Rewrite& rewrite, const quern::Calibration* calibration)
{
    try {
        quern::checkRewrite({&rewrite, {}}, calibration);
        return {};
    } catch (const quern::Error& error) {
        return sentence(error);
    }
}

QString summaryOf(const quern::Quantizer& method)
{
    return QCoreApplication::translate("core", method.summary);
}

QString summaryOf(const quern::Rewrite& rewrite)
{
    return QCoreApplication::translate("core", rewrite.summary);
}

QString namesOf(std::span<const quern::RewriteChoice> rewrites)
{
    QStringList names;
    for (const auto& [rewrite, settings] : rewrites) {
        QStringList values;
        for (const auto& [key, value] : settings)
            values << text(key) + u' ' + QLocale().toString(value, 'g', QLocale::FloatingPointShortest);
        names << text(rewrite->name);
        if (!values.isEmpty())
            names.back() += QStringLiteral(" (%1)").arg(values.join(QStringLiteral(", ")));
    }
    return names.join(QStringLiteral(", "));
}
