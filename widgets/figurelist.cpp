#include "widgets/figurelist.h"

#include <QHeaderView>

FigureList::FigureList(QWidget* parent)
    : QTableWidget(0, 2, parent)
{
    setEditTriggers(NoEditTriggers);
    setSelectionBehavior(SelectRows);
    setShowGrid(false);
    setWordWrap(false);
    setTabKeyNavigation(false);
    setFrameShape(QFrame::NoFrame);
    verticalHeader()->hide();
    horizontalHeader()->hide();
    verticalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    horizontalHeader()->setSectionResizeMode(1, QHeaderView::ResizeToContents);
}

QSize FigureList::sizeHint() const
{
    return {fontMetrics().averageCharWidth() * 32, 200};
}

void FigureList::clearLines()
{
    setRowCount(0);
    clearSpans();
}

void FigureList::addHeading(const QString& text)
{
    const int row = rowCount();
    insertRow(row);
    auto* item = new QTableWidgetItem(text);
    QFont bold = font();
    bold.setBold(true);
    item->setFont(bold);
    item->setToolTip(text);
    setItem(row, 0, item);
    setSpan(row, 0, 1, 2);
}

void FigureList::addLine(const QString& name, const QString& value, const QString& explanation)
{
    const int row = rowCount();
    insertRow(row);
    auto* number = new QTableWidgetItem(value);
    number->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    auto* label = new QTableWidgetItem(name);
    label->setToolTip(explanation);
    number->setToolTip(explanation);
    setItem(row, 0, label);
    setItem(row, 1, number);
}
