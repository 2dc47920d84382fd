#pragma once

#include "app/exportdialog.h"
#include "app/findings.h"
#include "app/reading.h"
#include "app/rundialog.h"
#include "app/settings.h"
#include "core/commandline.h"
#include "widgets/analysis.h"
#include "widgets/infobar.h"
#include "widgets/jobqueue.h"
#include "widgets/recipeeditor.h"
#include "widgets/session.h"

#include <QMainWindow>

class BudgetStrip;
class JobStatus;
class ModelPanel;
class QActionGroup;
class QMenu;
class TunePanel;

// The window: menus, docks from the views' catalogue, and the jobs behind the actions.
class MainWindow : public QMainWindow {
    Q_OBJECT

public:
    explicit MainWindow(Settings* settings, QWidget* parent = nullptr);
    ~MainWindow() override;

    Session* session() { return &m_session; }
    Analysis* analysis() { return &m_analysis; }
    JobQueue* jobs() { return &m_jobs; }
    RecipeEditor* recipe() { return &m_editor; }

    void openModel(const QString& path);
    void openDemo();
    void exportTo(const QString& target, const quern::ExportOptions& options);
    void evaluate(const TextRun& run);
    void calibrate(const TextRun& run, const QString& target); // target: a file to save it in as well, or empty
    void loadImatrix(const QString& path);
    void forgetImatrix();
    void openRecipe(const QString& path);
    void saveRecipe(const QString& path);
    void selectWorst(const QString& kind = {}); // of what has been measured; of all kinds if empty

    enum class Perspective { Explore, Tune };
    void arrange(Perspective perspective);

signals:
    void modelOpened();
    void openFailed(const QString& sentence);
    void exported(const QString& path);
    void examined(); // it is known whether the model can be run

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    struct Opened {
        std::shared_ptr<const quern::Model> model;
        quern::Recipe recipe;
        Resolved resolved;
        QString presetError; // why the usual preset is not the recipe; empty if it is
    };

    // menus.cpp
    QAction* action(const QString& text, const QKeySequence& shortcut, const std::function<void()>& triggered);
    void createMenus();
    void createFileMenu();
    void createEditMenu();
    void createViewMenu();
    void createModelMenu();
    void createQuantizeMenu();
    void createToolsMenu();
    void createHelpMenu();
    void createToolBars();
    void fillRecentMenu();
    void enableActions();

    // docks.cpp
    void createDocks();
    QDockWidget* addDock(const char* id, const QString& title, QWidget* content);
    void restoreLayout();
    void raiseView(const char* id);

    // files.cpp
    void chooseModel(bool folder);
    void chooseFile(const QString& title, const QString& filter, void (MainWindow::*open)(const QString&));
    void saveFile(const QString& title, const QString& name, const QString& filter,
                  const std::function<QByteArray()>& contents,
                  const std::function<void(const QString&)>& saved = {}); // called with the path
    void showOpened(Opened opened);
    void showNotes(const QString& presetError);
    void refuse(const QString& title, const QString& sentence);
    void chooseTarget();
    void tell(QString message, const Findings& findings, const std::vector<InfoBar::Button>& buttons = {});
    void copyCommandLine();
    void copyCommandLine(const quern::Recipe& recipe, quern::Command command);
    quern::Command commandFor(const QString& target) const;

    // running.cpp
    void examineModel();
    void recallEvaluation();
    void chooseEvaluation();
    void chooseCalibration();
    void useSequence(bool sequential);
    void showCalibrated(const Known& known);
    Known known() const;
    void clearCache();

    Settings* m_settings;
    Session m_session;
    RecipeEditor m_editor {&m_session};
    Analysis m_analysis {&m_session};
    JobQueue m_jobs;
    Job m_opening, m_examining, m_recalling;
    QString m_demo;           // path of the demo while it is what is open
    QString m_runObstacle;    // why the model cannot be run; empty if it can
    bool m_queueHeld = false; // the analysis waits for the job queue

    InfoBar* m_info;
    QToolBar* m_infoRow;
    JobStatus* m_status;
    BudgetStrip* m_budget;
    ModelPanel* m_modelPanel;
    TunePanel* m_tunePanel;
    std::vector<QDockWidget*> m_viewDocks; // in the catalogue's order
    QDockWidget* m_modelDock;
    QDockWidget* m_tuneDock;
    QDockWidget* m_jobsDock;
    QMenu* m_recentMenu;
    std::vector<QAction*> m_modelActions; // need a model
    std::vector<QAction*> m_planActions;  // need a plan
    QAction *m_export, *m_evaluate, *m_calibrate, *m_clearCache;
    QAction* m_forgetImatrix;
};
