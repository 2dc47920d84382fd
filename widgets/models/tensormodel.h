#pragma once

#include "widgets/session.h"

#include <QAbstractItemModel>

// The session's tensors: layers above their tensors, or all side by side. Follows the session.
class TensorModel : public QAbstractItemModel {
    Q_OBJECT

public:
    enum Column { Name, Shape, Source, Target, BitsPerWeight, Error, State, ColumnCount };
    static constexpr int kSortRole = Qt::UserRole;       // numbers as numbers
    static constexpr int kTensorRole = Qt::UserRole + 1; // index in the model, -1 for a layer

    explicit TensorModel(Session* session, QObject* parent = nullptr);

    void setFlat(bool flat);
    QModelIndex indexOf(int tensor) const; // invalid if there is none

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& child) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    // A row of the top level: a layer, or a tensor by itself.
    struct Node {
        int layer = -1;           // -1: one tensor by itself
        std::vector<int> tensors; // in file order
    };

    void rebuild();
    void build();
    void tensorChanged(int tensor);
    QVariant tensorData(int tensor, int column, int role) const;
    QVariant layerData(const Node& node, int column, int role) const;
    QString stateText(int tensor) const;

    Session* m_session;
    bool m_flat = false;
    std::vector<Node> m_nodes;
    std::vector<std::pair<int, int>> m_place; // of each tensor: node, row within it
};
