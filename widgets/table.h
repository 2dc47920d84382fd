#pragma once

#include <QTreeView>

// A tree or table whose selection Ctrl+C copies as tab-separated text.
class Table : public QTreeView {
    Q_OBJECT

public:
    explicit Table(QWidget* parent = nullptr);

protected:
    void keyPressEvent(QKeyEvent* event) override;
};

// Every row of the model, children after their parents, with the headers, as CSV (RFC 4180).
QString csvText(const QAbstractItemModel& model);
