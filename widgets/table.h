#pragma once

#include <QTreeView>

// A tree or table whose selection Ctrl+C copies as tab-separated text.
class Table : public QTreeView {
    Q_OBJECT

public:
    // Numbers without the locale, for files and the clipboard; models that have none show what they mean already.
    static constexpr int kPlainRole = Qt::UserRole + 100;

    explicit Table(QWidget* parent = nullptr);

    void widenColumns(); // those that cut what they show; none becomes narrower

protected:
    void keyPressEvent(QKeyEvent* event) override;
};

// Every row of the model, children after their parents, with the headers, as CSV (RFC 4180).
QString csvText(const QAbstractItemModel& model);
