#pragma once

#include <QString>

#include <vector>

class QAction;
class QMenuBar;

// What the menus offer, for places that list it.
struct MenuCommand {
    QAction* action;
    QString path; // "View > Theme > Dark"
};

// In the menus' order; neither separators nor menus.
std::vector<MenuCommand> menuCommands(const QMenuBar& bar);
QString plainText(const QAction& action); // without mnemonic and ellipsis
