#pragma once

#include "widgets/session.h"

#include <QAction>
#include <QDialog>

class QLineEdit;
class QListWidget;

// Type a part of a tensor's or an action's name, press Enter.
class CommandPalette : public QDialog {
    Q_OBJECT

public:
    CommandPalette(Session* session, const QList<QAction*>& actions, QWidget* parent);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void fill(const QString& words);
    void run();

    Session* m_session;
    QList<QAction*> m_actions;
    QLineEdit* m_words;
    QListWidget* m_found;
};
