#pragma once

#include <QList>

class QAction;
class QWidget;

// A page with every shortcut of the actions, and the keys of the plots.
void showShortcuts(const QList<QAction*>& actions, QWidget* parent);
void showAbout(QWidget* parent);
