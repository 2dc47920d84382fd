#include "widgets/modelpanel.h"

#include <QCheckBox>
#include <QCollator>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QTabWidget>
#include <QUndoView>
#include <QVBoxLayout>

namespace {

// Sorts blk.2 before blk.10 and numbers as numbers.
class NaturalOrder final : public QSortFilterProxyModel {
public:
    NaturalOrder(int sortRole, QObject* parent)
        : QSortFilterProxyModel(parent)
    {
        m_collator.setNumericMode(true);
        m_collator.setCaseSensitivity(Qt::CaseInsensitive);
        setSortRole(sortRole);
        setFilterKeyColumn(-1);
        setFilterCaseSensitivity(Qt::CaseInsensitive);
        setRecursiveFilteringEnabled(true);
        setAutoAcceptChildRows(true);
    }

protected:
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override
    {
        const QVariant a = left.data(sortRole()), b = right.data(sortRole());
        if (a.typeId() != QMetaType::QString || b.typeId() != QMetaType::QString)
            return a.toDouble() < b.toDouble();
        return m_collator.compare(a.toString(), b.toString()) < 0;
    }

private:
    QCollator m_collator;
};

QLineEdit* createFilter(QSortFilterProxyModel* filtered, const QString& name, QWidget* parent)
{
    auto* filter = new QLineEdit(parent);
    filter->setPlaceholderText(ModelPanel::tr("Filter"));
    filter->setAccessibleName(name);
    filter->setClearButtonEnabled(true);
    QObject::connect(filter, &QLineEdit::textChanged, filtered, &QSortFilterProxyModel::setFilterFixedString);
    return filter;
}

} // namespace

ModelPanel::ModelPanel(Session* session, QUndoStack* history, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_tensors(new TensorModel(session, this))
    , m_metadata(new MetadataModel(this))
    , m_filtered(new NaturalOrder(TensorModel::kSortRole, this))
    , m_filteredMetadata(new NaturalOrder(Qt::DisplayRole, this))
    , m_tabs(new QTabWidget(this))
{
    m_filtered->setSourceModel(m_tensors);
    m_filteredMetadata->setSourceModel(m_metadata);

    auto* steps = new QUndoView(history, m_tabs);
    steps->setEmptyLabel(tr("Recipe as opened"));
    steps->setAccessibleName(tr("History of the recipe"));
    m_tabs->setDocumentMode(true);
    m_tabs->addTab(createTensors(), tr("Tensors"));
    m_tabs->addTab(createMetadata(), tr("Metadata"));
    m_tabs->addTab(steps, tr("History"));

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_tabs);

    connect(session, &Session::selectionChanged, this, &ModelPanel::showSelection);
    connect(session, &Session::recipeChanged, m_table, &Table::widenColumns);
    connect(session, &Session::modelChanged, this, [this] {
        m_metadata->setModel(m_session->model());
        m_table->expandAll();
        for (int column = 0; column < TensorModel::ColumnCount; ++column)
            m_table->resizeColumnToContents(column);
    });
}

QWidget* ModelPanel::createTensors()
{
    auto* page = new QWidget(m_tabs);
    m_filter = createFilter(m_filtered, tr("Filter tensors"), page);
    auto* flat = new QCheckBox(tr("F&lat"), page);
    flat->setToolTip(tr("All tensors side by side, without their layers"));
    m_table = new Table(page);
    m_table->setModel(m_filtered);
    m_table->setAccessibleName(tr("Tensors"));
    m_table->header()->setStretchLastSection(false);
    // What changes stands beside the name; what the file says once and for all further off.
    m_table->header()->moveSection(TensorModel::Shape, TensorModel::Error);
    m_table->header()->moveSection(m_table->header()->visualIndex(TensorModel::Source), TensorModel::Error);
    m_table->header()->swapSections(m_table->header()->visualIndex(TensorModel::BitsPerWeight),
                                    m_table->header()->visualIndex(TensorModel::Error));
    m_table->setIndentation(m_table->indentation() * 2 / 3);
    m_table->setColumnHidden(TensorModel::State, true);
    m_table->header()->setContextMenuPolicy(Qt::ActionsContextMenu);
    for (int column = TensorModel::Shape; column < TensorModel::ColumnCount; ++column) {
        auto* shown = new QAction(m_tensors->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString(), m_table);
        shown->setCheckable(true);
        shown->setChecked(!m_table->isColumnHidden(column));
        connect(shown, &QAction::toggled, m_table, [this, column](bool on) { m_table->setColumnHidden(column, !on); });
        m_table->header()->addAction(shown);
    }

    auto* top = new QHBoxLayout;
    top->addWidget(m_filter);
    top->addWidget(flat);
    auto* layout = new QVBoxLayout(page);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addLayout(top);
    layout->addWidget(m_table);

    connect(m_filter, &QLineEdit::textChanged, m_table, &QTreeView::expandAll);
    connect(flat, &QCheckBox::toggled, m_tensors, &TensorModel::setFlat);
    connect(m_tensors, &TensorModel::modelReset, this, [this] {
        for (int column = 0; column < TensorModel::ColumnCount; ++column)
            m_table->resizeColumnToContents(column);
        showSelection();
    });
    connect(m_table->selectionModel(), &QItemSelectionModel::currentChanged, this, &ModelPanel::select);
    connect(m_table, &QTreeView::activated, this, [this](const QModelIndex& index) {
        if (const int tensor = index.data(TensorModel::kTensorRole).toInt(); tensor >= 0)
            m_session->open(tensor);
    });
    return page;
}

QWidget* ModelPanel::createMetadata()
{
    auto* page = new QWidget(m_tabs);
    auto* table = new Table(page);
    table->setModel(m_filteredMetadata);
    table->setRootIsDecorated(false);
    table->setAccessibleName(tr("Metadata"));
    table->header()->moveSection(MetadataModel::Value, MetadataModel::Type); // what one looks for first
    table->header()->resizeSection(MetadataModel::Key, fontMetrics().averageCharWidth() * 28);
    table->header()->resizeSection(MetadataModel::Value, fontMetrics().averageCharWidth() * 28);
    auto* layout = new QVBoxLayout(page);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addWidget(createFilter(m_filteredMetadata, tr("Filter metadata"), page));
    layout->addWidget(table);
    return page;
}

void ModelPanel::select(const QModelIndex& index)
{
    const QVariant tensor = index.data(TensorModel::kTensorRole);
    if (tensor.isValid() && tensor.toInt() >= 0)
        m_session->select(tensor.toInt());
}

void ModelPanel::showSelection()
{
    const QModelIndex index = m_filtered->mapFromSource(m_tensors->indexOf(m_session->selected()));
    if (!index.isValid() || m_table->currentIndex().siblingAtColumn(0) == index)
        return;
    m_table->selectionModel()->setCurrentIndex(index, QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows);
    m_table->scrollTo(index);
}

QString ModelPanel::tensorsAsCsv() const
{
    return csvText(*m_filtered);
}

QString ModelPanel::metadataAsCsv() const
{
    return csvText(*m_filteredMetadata);
}

void ModelPanel::focusFilter()
{
    m_tabs->setCurrentIndex(0);
    m_filter->setFocus(Qt::ShortcutFocusReason);
    m_filter->selectAll();
}
