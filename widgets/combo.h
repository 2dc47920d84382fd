#pragma once

#include <QComboBox>

// Items of a combo box that cannot be chosen now stay in the list, and their tip says why.
void enableItem(QComboBox* box, int item, bool enabled, const QString& tip);

void chooseItem(QComboBox* box, const QVariant& data); // the first if none has that data
