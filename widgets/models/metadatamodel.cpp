#include "widgets/models/metadatamodel.h"

#include "widgets/text.h"

#include <algorithm>

namespace {

constexpr std::size_t kShown = 8;    // elements of an array
constexpr qsizetype kLongest = 2000; // characters of a text

QString typeName(std::size_t type)
{
    constexpr const char* kNames[] = {"uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                      "bool",  "string", "array",  "uint64", "int64",  "float64"};
    return QString::fromLatin1(kNames[type]);
}

QString shortened(QString value)
{
    value.replace(u'\n', QStringLiteral("⏎"));
    return value.size() > kLongest ? value.left(kLongest) + QStringLiteral("…") : value;
}

template <typename T>
QString element(const T& value)
{
    if constexpr (std::is_same_v<T, std::string>)
        return shortened(text(value));
    else if constexpr (std::is_same_v<T, bool>)
        return value ? QStringLiteral("true") : QStringLiteral("false");
    else if constexpr (std::is_floating_point_v<T>)
        return QString::number(static_cast<double>(value), 'g', std::is_same_v<T, float> ? 7 : 15);
    else
        return QString::fromStdString(std::to_string(value));
}

struct Elements {
    QString operator()(const std::monostate&) const { return {}; }
    template <typename T>
    QString operator()(const std::vector<T>& values) const
    {
        QStringList shown;
        for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i)
            shown << element<T>(values[i]);
        const QString rest = values.size() > kShown ? QStringLiteral(", …") : QString();
        return QStringLiteral("[%1%2]").arg(shown.join(QStringLiteral(", ")), rest);
    }
};

struct Length {
    std::size_t operator()(const std::monostate&) const { return 0; }
    template <typename T>
    std::size_t operator()(const std::vector<T>& values) const
    {
        return values.size();
    }
};

struct Value {
    QString operator()(const quern::MetaArray& array) const { return std::visit(Elements {}, array); }
    template <typename T>
    QString operator()(const T& value) const
    {
        return element<T>(value);
    }
};

} // namespace

void MetadataModel::setModel(std::shared_ptr<const quern::Model> model)
{
    beginResetModel();
    m_model = std::move(model);
    endResetModel();
}

int MetadataModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() || !m_model ? 0 : static_cast<int>(m_model->metadata.entries().size());
}

int MetadataModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant MetadataModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || (role != Qt::DisplayRole && role != Qt::ToolTipRole))
        return {};
    const auto& [key, value] = m_model->metadata.entries()[static_cast<std::size_t>(index.row())];
    switch (index.column()) {
    case Key:
        return text(key);
    case Type:
        if (const auto* array = std::get_if<quern::MetaArray>(&value))
            return QStringLiteral("%1[%2]").arg(typeName(array->index())).arg(std::visit(Length {}, *array));
        return typeName(value.index());
    case Value:
        return std::visit(::Value {}, value);
    default:
        return {};
    }
}

QVariant MetadataModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    const QString titles[] = {tr("Key"), tr("Type"), tr("Value")};
    return section < ColumnCount ? titles[section] : QVariant();
}
