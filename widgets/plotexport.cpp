#include "widgets/plotexport.h"

#include "widgets/plot.h"

#include <QBuffer>
#include <QFileDialog>
#include <QFileInfo>
#include <QMessageBox>
#include <QSaveFile>
#include <QSvgGenerator>

namespace {

QString translated(const char* text)
{
    return QCoreApplication::translate("PlotExport", text);
}

bool drawSvg(Plot& plot, QIODevice& file)
{
    QSvgGenerator svg;
    svg.setOutputDevice(&file);
    svg.setSize(plot.size());
    svg.setViewBox(plot.rect());
    svg.setTitle(plot.accessibleName());
    svg.setDescription(plot.accessibleDescription());
    QCPPainter painter;
    if (!painter.begin(&svg))
        return false;
    painter.setMode(QCPPainter::pmVectorized);
    painter.fillRect(plot.rect(), plot.palette().brush(QPalette::Base));
    plot.toPainter(&painter, plot.width(), plot.height());
    return painter.end();
}

// Format and pixels for one of the file dialog's filters.
struct Filter {
    QString text;
    double scale;
};

QList<Filter> filters(const Plot& plot)
{
    QList<Filter> all;
    for (const int scale : {2, 1, 4})
        all.append({translated("PNG, %1 × %2 pixels (*.png)").arg(plot.width() * scale).arg(plot.height() * scale),
                    static_cast<double>(scale)});
    all.append({translated("SVG drawing (*.svg)"), 1});
    all.append({translated("PDF (*.pdf)"), 1});
    return all;
}

} // namespace

QImage pictureOf(Plot& plot, double scale)
{
    return plot.toPixmap(plot.width(), plot.height(), scale).toImage();
}

QString savePlot(Plot& plot, const QString& path, double scale)
{
    const QString suffix = QFileInfo(path).suffix().toLower();
    if (suffix == QLatin1String("pdf"))
        return plot.savePdf(path, plot.width(), plot.height(), QCP::epNoCosmetic, QString(), plot.accessibleName())
            ? QString()
            : translated("The plot could not be written to %1.").arg(path);
    QSaveFile file(path);
    bool good = file.open(QIODevice::WriteOnly);
    if (good && suffix == QLatin1String("svg")) {
        QBuffer buffer; // QSvgGenerator wants a device it can seek in and close
        good = drawSvg(plot, buffer) && file.write(buffer.data()) == buffer.size();
    } else if (good) {
        good = pictureOf(plot, scale).save(&file, "PNG");
    }
    if (!good || !file.commit())
        return translated("The plot could not be written to %1: %2.").arg(path, file.errorString());
    return {};
}

void exportPlot(Plot& plot, const QString& title)
{
    QStringList texts;
    const QList<Filter> all = filters(plot);
    for (const Filter& filter : all)
        texts.append(filter.text);
    QString chosen = texts.first();
    QString path = QFileDialog::getSaveFileName(&plot, translated("Export Plot"), title + QStringLiteral(".png"),
                                                texts.join(QStringLiteral(";;")), &chosen);
    if (path.isEmpty())
        return;
    const qsizetype index = qMax(qsizetype {0}, texts.indexOf(chosen));
    if (QFileInfo(path).suffix().isEmpty())
        path += index < 3 ? QStringLiteral(".png") : index == 3 ? QStringLiteral(".svg") : QStringLiteral(".pdf");
    if (const QString problem = savePlot(plot, path, all[index].scale); !problem.isEmpty())
        QMessageBox::warning(&plot, translated("Export Plot"), problem);
}
