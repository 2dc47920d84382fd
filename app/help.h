#pragma once

#include "app/menucommands.h"

class QWidget;

// A page with every shortcut of the menus, and the keys of the plots.
void showShortcuts(const std::vector<MenuCommand>& commands, QWidget* parent);
void showAbout(QWidget* parent);
