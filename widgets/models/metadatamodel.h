#pragma once

#include "core/model.h"

#include <QAbstractTableModel>

#include <memory>

// What the model's file says of itself: key, type, value. Long values and arrays are shortened.
class MetadataModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Key, Type, Value, ColumnCount };
    using QAbstractTableModel::QAbstractTableModel;

    void setModel(std::shared_ptr<const quern::Model> model);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    std::shared_ptr<const quern::Model> m_model;
};
