#pragma once

#include <QString>
#include <QStringList>
#include <QVariant>

#include <functional>

class QWidget;

// The numbers behind a plot. Read lazily, so that it may be long; holds on to what it reads.
struct PlotTable {
    QStringList columns; // with units
    long rows = 0;
    std::function<QVariant(long row, int column)> value; // numbers as double or qlonglong
};

QString csv(const PlotTable& table); // comma-separated, C locale, quoted where needed (RFC 4180)
// A dialog that shows the table and saves it. Deletes itself when closed.
void showTable(const PlotTable& table, const QString& title, QWidget* parent);
