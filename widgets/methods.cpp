#include "widgets/methods.h"

#include "core/error.h"
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

QString shownWithout(const quern::Recipe& recipe)
{
    const QString names = namesOf(recipe.rewrites);
    if (!recipe.sequential)
        return names.isEmpty()
            ? QString()
            : Methods::tr("Shown as it is without %1, which rescales channels when the whole model is quantized.")
                  .arg(names);
    return names.isEmpty()
        ? Methods::tr("Shown as it is by itself, not block by block: that comes when the whole model is quantized.")
        : Methods::tr("Shown as it is by itself, without %1 and not block by block: that comes when the whole model is "
                      "quantized.")
              .arg(names);
}

QString gainOf(const quern::Rewrite& rewrite, const quern::FoldSummary& sum)
{
    const QString scaled = Methods::tr("%1: %2 of %n places scaled", "", static_cast<int>(sum.places))
                               .arg(text(rewrite.name))
                               .arg(sum.scaled);
    return sum.before > 0
        ? Methods::tr("%1, squared error of the outputs times %2.").arg(scaled, figure(sum.after / sum.before))
        : scaled + u'.';
}

QStringList placesOf(const quern::Rewrite& rewrite, std::span<const quern::FoldReport> reports)
{
    QStringList places;
    for (const quern::FoldReport& report : reports) {
        if (!report.scaled)
            continue;
        const QString place = Methods::tr("%1 scales after %2 with ratio %3")
                                  .arg(text(rewrite.name), text(report.producer), figure(report.ratio));
        places << (report.before > 0
                       ? Methods::tr("%1: squared error times %2.").arg(place, figure(report.after / report.before))
                       : place + u'.');
    }
    return places;
}
