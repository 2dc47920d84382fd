#include "widgets/views/numberspanel.h"

#include "widgets/errorfigures.h"
#include "widgets/text.h"

#include <QLocale>

namespace {

QString whole(std::uint64_t count)
{
    return QLocale().toString(static_cast<qulonglong>(count));
}

} // namespace

NumbersPanel::NumbersPanel(QWidget* parent)
    : FigureList(parent)
{
    setAccessibleName(tr("Figures of the tensor"));
}

void NumbersPanel::addWeights(const quern::TensorStats* stats)
{
    const auto line = [&](const QString& name, auto value, const QString& explanation = {}) {
        addLine(name, stats ? value() : QStringLiteral("…"), explanation);
    };
    line(tr("Weights"), [&] { return whole(stats->count); });
    line(tr("Smallest"), [&] { return figure(stats->min); });
    line(tr("Largest"), [&] { return figure(stats->max); });
    line(tr("Mean"), [&] { return figure(stats->mean); });
    line(
        tr("Sigma"), [&] { return figure(stats->std); }, tr("Standard deviation"));
    line(tr("Skewness"), [&] { return figure(stats->skewness); });
    line(
        tr("Excess kurtosis"), [&] { return figure(stats->kurtosis); },
        tr("How heavy the tails are; 0 for a normal distribution"));
    line(
        tr("Beyond 6 sigma"), [&] { return whole(stats->outliers); },
        tr("A normal distribution has 2 in a thousand million"));
    line(tr("Zeros"), [&] { return whole(stats->zeros); });
    line(
        tr("Not finite"), [&] { return whole(stats->nonFinite); }, tr("NaN or infinite; left out of everything else"));
}

void NumbersPanel::addErrors(const Session::Error& error, std::optional<double> errorPerStep)
{
    const QString mark = error.exact ? QString() : QStringLiteral("~ ");
    const quern::Distortion& distortion = error.distortion;
    addLine(tr("Relative RMS error"), mark + figure(distortion.relative()));
    addLine(sqnr().name, mark + sqnr().written(distortion), sqnr().tip);
    addLine(tr("RMS error"), mark + figure(distortion.rmse()));
    addLine(tr("Largest error"), mark + figure(distortion.largest));
    if (distortion.outputPower > 0)
        addLine(outputError().name, mark + outputError().written(distortion), outputError().tip);
    if (errorPerStep)
        addLine(tr("Error / step"), QStringLiteral("~ ") + fixed(*errorPerStep, 3),
                tr("RMS error over the distance of levels: 0.289 where rounding is all that happens, more where "
                   "weights are clipped"));
}

void NumbersPanel::show(const std::optional<Subject>& subject, const quern::TensorStats* stats,
                        const std::optional<Session::Error>& error, std::optional<double> errorPerStep)
{
    clearLines();
    if (!subject)
        return;
    addHeading(tr("%1, %2").arg(shapeText(subject->tensor()), text(subject->tensor().format->name)));
    addWeights(stats);
    if (!subject->choice.format)
        return addHeading(tr("The recipe does not fit this model"));
    if (!subject->quantized())
        return addHeading(tr("Stored as it is"));
    addHeading(tr("As %1").arg(subject->formatName()));
    if (error)
        addErrors(*error, errorPerStep);
    else
        addLine(tr("Error"), tr("not measured"));
}

void NumbersPanel::showActivations(const QString& heading, const quern::TensorStats& stats, double tokens)
{
    clearLines();
    addHeading(heading);
    addLine(tr("Tokens"), whole(static_cast<std::uint64_t>(tokens)), tr("That the tensor saw; experts share them"));
    addLine(tr("Values"), whole(stats.count));
    const QString edge = tr("Edge of the outermost bin, up to 6 % beyond the value itself");
    addLine(tr("Smallest"), figure(stats.min), edge);
    addLine(tr("Largest"), figure(stats.max), edge);
    addLine(tr("Mean"), figure(stats.mean));
    addLine(tr("Sigma"), figure(stats.std), tr("Standard deviation"));
    addLine(tr("Excess kurtosis"), figure(stats.kurtosis), tr("How heavy the tails are; 0 for a normal distribution"));
    addLine(tr("Beyond 6 sigma"), whole(stats.outliers), tr("A normal distribution has 2 in a thousand million"));
}
