#include "widgets/combo.h"

#include <QStandardItemModel>

#include <algorithm>

void enableItem(QComboBox* box, int item, bool enabled, const QString& tip)
{
    auto* entry = static_cast<QStandardItemModel*>(box->model())->item(item);
    entry->setEnabled(enabled);
    entry->setToolTip(tip);
}

void chooseItem(QComboBox* box, const QVariant& data)
{
    box->setCurrentIndex(std::max(box->findData(data), 0));
}
