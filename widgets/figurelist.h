#pragma once

#include <QTableWidget>

// Names and figures, one a line, under headings.
class FigureList : public QTableWidget {
    Q_OBJECT

public:
    explicit FigureList(QWidget* parent);

    void clearLines();
    void addHeading(const QString& text);
    void addLine(const QString& name, const QString& value, const QString& explanation = {});

    QSize sizeHint() const override;
};
