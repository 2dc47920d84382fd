#include "widgets/models/tensormodel.h"

#include "core/budget.h"
#include "widgets/table.h"
#include "widgets/text.h"

#include <QFont>

#include <limits>
#include <map>

namespace {

// Internal ids: 0 for the top level, node + 1 for the tensors of a layer.
constexpr quintptr kTop = 0;

double bitsPerWeight(std::uint64_t bytes, double weights)
{
    return weights > 0 ? 8 * static_cast<double>(bytes) / weights : 0;
}

} // namespace

TensorModel::TensorModel(Session* session, QObject* parent)
    : QAbstractItemModel(parent)
    , m_session(session)
{
    build();
    connect(session, &Session::modelChanged, this, &TensorModel::rebuild);
    connect(session, &Session::errorChanged, this, &TensorModel::tensorChanged);
    connect(session, &Session::statsChanged, this, &TensorModel::tensorChanged);
    connect(session, &Session::recipeChanged, this, [this] {
        for (int node = 0; node < rowCount(); ++node) {
            emit dataChanged(index(node, 0), index(node, ColumnCount - 1));
            if (const QModelIndex layer = index(node, 0); rowCount(layer) > 0)
                emit dataChanged(index(0, 0, layer), index(rowCount(layer) - 1, ColumnCount - 1, layer));
        }
    });
}

void TensorModel::setFlat(bool flat)
{
    if (m_flat == flat)
        return;
    m_flat = flat;
    rebuild();
}

void TensorModel::rebuild()
{
    beginResetModel();
    build();
    endResetModel();
}

void TensorModel::build()
{
    m_nodes.clear();
    m_place.clear();
    std::map<int, int> nodeOfLayer;
    const int count = m_session->tensorCount();
    for (int i = 0; i < count; ++i) {
        const int layer = m_flat ? -1 : quern::layerOf(m_session->model()->tensors[static_cast<std::size_t>(i)].name);
        const auto known = nodeOfLayer.find(layer);
        int node = static_cast<int>(m_nodes.size());
        if (layer >= 0 && known != nodeOfLayer.end())
            node = known->second;
        else
            m_nodes.push_back({.layer = layer});
        if (layer >= 0)
            nodeOfLayer[layer] = node;
        auto& tensors = m_nodes[static_cast<std::size_t>(node)].tensors;
        m_place.emplace_back(node, static_cast<int>(tensors.size()));
        tensors.push_back(i);
    }
}

QModelIndex TensorModel::indexOf(int tensor) const
{
    if (tensor < 0 || static_cast<std::size_t>(tensor) >= m_place.size())
        return {};
    const auto [node, row] = m_place[static_cast<std::size_t>(tensor)];
    if (m_nodes[static_cast<std::size_t>(node)].layer < 0)
        return index(node, 0);
    return index(row, 0, index(node, 0));
}

void TensorModel::tensorChanged(int tensor)
{
    const QModelIndex at = indexOf(tensor);
    emit dataChanged(at, at.siblingAtColumn(ColumnCount - 1));
    if (const QModelIndex layer = at.parent(); layer.isValid())
        emit dataChanged(layer, layer.siblingAtColumn(ColumnCount - 1));
}

QModelIndex TensorModel::index(int row, int column, const QModelIndex& parent) const
{
    if (!hasIndex(row, column, parent))
        return {};
    return createIndex(row, column, parent.isValid() ? static_cast<quintptr>(parent.row() + 1) : kTop);
}

QModelIndex TensorModel::parent(const QModelIndex& child) const
{
    if (!child.isValid() || child.internalId() == kTop)
        return {};
    return createIndex(static_cast<int>(child.internalId()) - 1, 0, kTop);
}

int TensorModel::rowCount(const QModelIndex& parent) const
{
    if (!parent.isValid())
        return static_cast<int>(m_nodes.size());
    if (parent.internalId() != kTop || parent.column() > 0)
        return 0;
    const Node& node = m_nodes[static_cast<std::size_t>(parent.row())];
    return node.layer < 0 ? 0 : static_cast<int>(node.tensors.size());
}

int TensorModel::columnCount(const QModelIndex&) const
{
    return ColumnCount;
}

QVariant TensorModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    if (role == Qt::TextAlignmentRole && (index.column() == BitsPerWeight || index.column() == Error))
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    const bool top = index.internalId() == kTop;
    const Node& node = m_nodes[top ? static_cast<std::size_t>(index.row()) : index.internalId() - 1];
    if (top && node.layer >= 0)
        return layerData(node, index.column(), role);
    return tensorData(node.tensors[top ? 0 : static_cast<std::size_t>(index.row())], index.column(), role);
}

QString TensorModel::stateText(int tensor) const
{
    if (!m_session->plan())
        return tr("no plan");
    if (!m_session->failure(tensor).isEmpty())
        return tr("failed");
    const auto error = m_session->error(tensor);
    if (!error)
        return tr("not measured");
    return error->exact ? tr("measured") : tr("estimated");
}

QVariant TensorModel::tensorData(int tensor, int column, int role) const
{
    const auto i = static_cast<std::size_t>(tensor);
    const quern::Tensor& source = m_session->model()->tensors[i];
    const auto plan = m_session->plan();
    const auto error = m_session->error(tensor);
    if (role == kTensorRole)
        return tensor;
    if (role == kSortRole) {
        if (column == Shape)
            return static_cast<qlonglong>(source.count());
        if (column == BitsPerWeight)
            return plan ? bitsPerWeight(plan->tensors[i].storedBytes, static_cast<double>(source.count())) : 0.0;
        if (column == Error)
            return error ? error->distortion.relative() : -1.0;
        role = Qt::DisplayRole;
    }
    if (role == Table::kPlainRole) {
        if (column == BitsPerWeight && plan)
            return QString::number(bitsPerWeight(plan->tensors[i].storedBytes, static_cast<double>(source.count())));
        if (column == Error && error)
            return QString::number(error->distortion.relative());
        role = Qt::DisplayRole; // State says which errors are estimates
    }
    if (role == Qt::ToolTipRole && column == State && !m_session->failure(tensor).isEmpty())
        return m_session->failure(tensor);
    if (role != Qt::DisplayRole && role != Qt::ToolTipRole)
        return {};
    switch (column) {
    case Name:
        return text(m_flat || role == Qt::ToolTipRole ? std::string_view(source.name) : quern::kindOf(source.name));
    case Shape:
        return shapeText(source);
    case Source:
        return text(source.format->name);
    case Target:
        return plan ? text(plan->tensors[i].choice.format->name) : QString();
    case BitsPerWeight:
        return plan ? fixed(bitsPerWeight(plan->tensors[i].storedBytes, static_cast<double>(source.count())))
                    : QString();
    case Error:
        if (!error)
            return QString();
        return (error->exact ? QString() : QStringLiteral("~")) + figure(error->distortion.relative());
    case State:
        return stateText(tensor);
    default:
        return {};
    }
}

QVariant TensorModel::layerData(const Node& node, int column, int role) const
{
    if (role == kTensorRole)
        return -1;
    const bool plain = role == Table::kPlainRole;
    if (role != Qt::DisplayRole && role != kSortRole && !plain)
        return {};
    const auto plan = m_session->plan();
    std::vector<std::optional<quern::Distortion>> errors;
    std::uint64_t bytes = 0;
    double weights = 0;
    bool exact = true;
    for (const int tensor : node.tensors) {
        const auto error = m_session->error(tensor);
        exact = exact && error && error->exact;
        errors.push_back(error ? std::optional(error->distortion) : std::nullopt);
        weights += static_cast<double>(m_session->model()->tensors[static_cast<std::size_t>(tensor)].count());
        bytes += plan ? plan->tensors[static_cast<std::size_t>(tensor)].storedBytes : 0;
    }
    const auto relative = quern::relativeError(errors);
    switch (column) {
    case Name:
        return QStringLiteral("blk.%1").arg(node.layer);
    case Shape:
        return role == kSortRole ? QVariant(weights) : tensorsText(static_cast<int>(node.tensors.size()));
    case BitsPerWeight:
        if (role == kSortRole)
            return bitsPerWeight(bytes, weights);
        if (plain && plan)
            return QString::number(bitsPerWeight(bytes, weights));
        return plan ? fixed(bitsPerWeight(bytes, weights)) : QString();
    case Error:
        if (role == kSortRole)
            return relative.value_or(-1);
        if (plain && relative)
            return QString::number(*relative);
        return relative ? (exact ? QString() : QStringLiteral("~")) + figure(*relative) : QString();
    default:
        return QString();
    }
}

QVariant TensorModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= ColumnCount)
        return {};
    const QString titles[] = {tr("Name"), tr("Shape"), tr("Source"), tr("Target"), tr("bpw"), tr("Error"), tr("State")};
    const QString tips[] = {
        tr("Name as in GGUF"),
        tr("Output × input features"),
        tr("Format in the opened file"),
        tr("Format under the recipe"),
        tr("Bits per weight in the exported file"),
        tr("Relative error: root of the summed squared error over the summed squared weights; ~ marks an estimate"),
        tr("Whether the error has been measured"),
    };
    return role == Qt::DisplayRole ? QVariant(titles[section])
        : role == Qt::ToolTipRole  ? QVariant(tips[section])
                                   : QVariant();
}
