#include "app/menucommands.h"

#include <QAction>
#include <QMenuBar>

namespace {

void addFrom(const QList<QAction*>& actions, const QString& path, std::vector<MenuCommand>& commands)
{
    for (QAction* action : actions) {
        if (action->isSeparator() || !action->isVisible())
            continue;
        const QString name = path.isEmpty() ? plainText(*action) : path + QStringLiteral(" > ") + plainText(*action);
        if (const QMenu* menu = action->menu())
            addFrom(menu->actions(), name, commands);
        else
            commands.push_back({action, name});
    }
}

} // namespace

QString plainText(const QAction& action)
{
    return action.text().remove(u'&').remove(u'…');
}

std::vector<MenuCommand> menuCommands(const QMenuBar& bar)
{
    std::vector<MenuCommand> commands;
    addFrom(bar.actions(), {}, commands);
    return commands;
}
