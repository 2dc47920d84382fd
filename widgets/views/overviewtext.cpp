#include "widgets/views/overviewtext.h"

#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/views/overviewlayout.h"

#include <QCoreApplication>

#include <algorithm>
#include <cmath>

namespace {

QString translated(const char* text)
{
    return QCoreApplication::translate("Overview", text);
}

const quern::Tensor& tensorOf(const Session& session, int tensor)
{
    return session.model()->tensors[static_cast<std::size_t>(tensor)];
}

bool estimated(const Session& session, const quern::Measure& measure, int tensor)
{
    const auto error = session.error(tensor);
    return measure.fromDistortion && error && !error->exact;
}

} // namespace

quern::Measured measured(const Session& session, int tensor)
{
    const auto index = static_cast<std::size_t>(tensor);
    const auto error = session.error(tensor);
    const auto plan = session.plan();
    quern::Measured known {session.model()->tensors[index], session.stats(tensor).get()};
    if (error)
        known.distortion = error->distortion;
    if (plan)
        known.planned = &plan->tensors[index];
    known.inputOutliers = session.inputOutliers(tensor);
    return known;
}

QString measureText(const quern::Measure& measure)
{
    const QString label = QCoreApplication::translate("core", measure.label);
    return *measure.unit ? QStringLiteral("%1 [%2]").arg(label, QCoreApplication::translate("core", measure.unit))
                         : label;
}

QString valueText(const quern::Measure& measure, const quern::Measured& measured)
{
    const auto value = measure.value(measured);
    if (!value)
        return translated("not measured");
    if (measure.name == "bytes")
        return bytesText(static_cast<std::uint64_t>(*value));
    return std::isinf(*value) ? QStringLiteral("∞") : figure(*value);
}

QString tensorLine(const Session& session, const quern::Measure& measure, int tensor)
{
    const QString mark = estimated(session, measure, tensor) ? QStringLiteral("~") : QString();
    return QStringLiteral("%1: %2 %3%4")
        .arg(text(tensorOf(session, tensor).name), measureText(measure), mark,
             valueText(measure, measured(session, tensor)));
}

QString tensorTooltip(const Session& session, int index)
{
    const quern::Tensor& tensor = tensorOf(session, index);
    QString rows = QStringLiteral("<b>%1</b><br>%2 %3")
                       .arg(text(tensor.name).toHtmlEscaped(), shapeText(tensor), text(tensor.format->name));
    const quern::Measured known = measured(session, index);
    if (known.planned)
        rows += QStringLiteral(" → ") + text(known.planned->choice.format->name);
    rows += QStringLiteral("<table>");
    for (const quern::Measure& measure : quern::measures())
        rows += QStringLiteral("<tr><td>%1&nbsp;</td><td align=right>%2%3</td></tr>")
                    .arg(measureText(measure), estimated(session, measure, index) ? QStringLiteral("~ ") : QString(),
                         valueText(measure, known));
    return rows + QStringLiteral("</table>") + session.failure(index).toHtmlEscaped();
}

PlotTable overviewTable(const Session& session, const OverviewLayout& layout)
{
    PlotTable table {.columns = {translated("Tensor"), translated("Layer"), translated("Kind")}};
    for (const quern::Measure& measure : quern::measures())
        table.columns.append(measureText(measure));
    table.columns.append(translated("Estimate"));
    std::vector<QVariantList> rows;
    for (const auto& cell : layout.cells) {
        const std::string& name = tensorOf(session, cell.tensor).name;
        QVariantList row {text(name), quern::layerOf(name), text(quern::kindOf(name))};
        for (const quern::Measure& measure : quern::measures()) {
            const auto value = measure.value(measured(session, cell.tensor));
            row.append(value ? QVariant(*value) : QVariant(QString()));
        }
        const auto error = session.error(cell.tensor);
        row.append(error && !error->exact ? translated("yes") : QString());
        rows.push_back(std::move(row));
    }
    table.rows = static_cast<long>(rows.size());
    table.value
        = [rows = std::move(rows)](long row, int column) { return rows[static_cast<std::size_t>(row)][column]; };
    return table;
}

bool overridden(const quern::Recipe& recipe, std::string_view tensor)
{
    const auto rules
        = std::ranges::count_if(recipe.rules, [&](const quern::Rule& rule) { return matches(rule, tensor); });
    return rules > (recipe.preset ? 0 : 1);
}
