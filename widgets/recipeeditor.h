#pragma once

#include "widgets/job.h"
#include "widgets/session.h"

#include <QUndoStack>

// Where every change of the session's recipe goes through: resolved on a worker, refused with a sentence if it does not
// fit the model, undoable if it does. GUI thread only.
class RecipeEditor : public QObject {
    Q_OBJECT

public:
    explicit RecipeEditor(Session* session, QObject* parent = nullptr);

    QUndoStack* history() { return &m_history; }
    // What the session's recipe is about to be; the one to build the next change on.
    const quern::Recipe& wanted() const;

    // text names the change in the Edit menu. Changes of one gesture (a drag of a slider) are undone together.
    void change(quern::Recipe recipe, const QString& text, int gesture = 0);
    // A preset, or none, instead of all rules; its method, rewrites and sequence stay.
    void usePreset(const quern::Preset* preset);
    // Adds a rule to the recipe that is wanted. A rule that changes no tensor's format is not added.
    void addRule(const quern::Rule& rule, const QString& text, int gesture = 0);
    int newGesture() { return ++m_gestures; }
    bool busy() const { return m_running.has_value(); }

signals:
    void accepted();
    void refused(const QString& sentence); // the recipe stays as it was

private:
    struct Request {
        quern::Recipe recipe;
        QString text;
        int gesture = 0;
        bool undoing = false; // or redoing: known to fit
        bool rule = false;    // only a rule more than what is in force
    };
    // What was in force before a change, or before the first of a gesture.
    struct Base {
        int gesture = 0;
        quern::Recipe recipe;
        Resolved resolved;
    };
    class Step;

    void forget();
    void restore(const quern::Recipe& recipe);
    void request(Request request);
    void resolveNext();
    void finish(Resolved result);

    Session* m_session;
    QUndoStack m_history;
    Job m_job;
    std::optional<Request> m_running, m_waiting; // the latest wish only waits; those in between are passed over
    Base m_base;
    int m_gestures = 0;
};
