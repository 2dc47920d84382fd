#pragma once

#include "widgets/models/metadatamodel.h"
#include "widgets/models/tensormodel.h"
#include "widgets/table.h"

#include <QSortFilterProxyModel>
#include <QWidget>

class QLineEdit;
class QTabWidget;
class QUndoStack;

// The dock at the left: the model's tensors, its metadata, and the history of the recipe.
class ModelPanel : public QWidget {
    Q_OBJECT

public:
    ModelPanel(Session* session, QUndoStack* history, QWidget* parent = nullptr);

    QString tensorsAsCsv() const; // what the table shows, filtered, C locale for numbers is the CLI's business
    QString metadataAsCsv() const;
    void focusFilter();

private:
    QWidget* createTensors();
    QWidget* createMetadata();
    void showSelection();
    void select(const QModelIndex& index);

    Session* m_session;
    TensorModel* m_tensors;
    MetadataModel* m_metadata;
    QSortFilterProxyModel* m_filtered;
    QSortFilterProxyModel* m_filteredMetadata;
    QTabWidget* m_tabs;
    QLineEdit* m_filter;
    Table* m_table;
};
