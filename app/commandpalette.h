#pragma once

#include "app/menucommands.h"
#include "widgets/session.h"

#include <QDialog>

class QLineEdit;
class QListWidget;

// Type a part of a tensor's or an action's name, press Enter.
class CommandPalette : public QDialog {
    Q_OBJECT

public:
    CommandPalette(Session* session, std::vector<MenuCommand> commands, QWidget* parent);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void fill(const QString& words);
    void addTensors(const QStringList& words);
    void addCommands(const QStringList& words);
    void run();

    Session* m_session;
    std::vector<MenuCommand> m_commands;
    QLineEdit* m_words;
    QListWidget* m_found;
};
