#include "app/commandpalette.h"
#include "app/help.h"
#include "app/mainwindow.h"
#include "app/theme.h"
#include "core/parallel.h"
#include "core/preset.h"
#include "widgets/budgetstrip.h"
#include "widgets/infobar.h"
#include "widgets/modelpanel.h"
#include "widgets/text.h"

#include <QActionGroup>
#include <QApplication>
#include <QCoreApplication>
#include <QDockWidget>
#include <QFileInfo>
#include <QInputDialog>
#include <QMenuBar>
#include <QThread>
#include <QToolBar>
#include <QToolButton>

namespace {

QIcon icon(const char* name)
{
    return QIcon(QStringLiteral(":/icons/%1.svg").arg(QLatin1String(name)));
}

} // namespace

QAction* MainWindow::action(const QString& text, const QKeySequence& shortcut, const std::function<void()>& triggered)
{
    auto* action = new QAction(text, this);
    action->setShortcut(shortcut);
    connect(action, &QAction::triggered, this, triggered);
    return action;
}

void MainWindow::createMenus()
{
    createFileMenu();
    createEditMenu();
    createViewMenu();
    createModelMenu();
    createQuantizeMenu();
    createToolsMenu();
    createHelpMenu();
}

void MainWindow::createFileMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&File"));
    menu->addAction(action(tr("&Open file…"), QKeySequence::Open, [this] { chooseModel(false); }));
    menu->actions().back()->setObjectName("openFile");
    menu->actions().back()->setIcon(icon("open"));
    menu->addAction(action(tr("Open fol&der…"), Qt::CTRL | Qt::SHIFT | Qt::Key_O, [this] { chooseModel(true); }));
    m_recentMenu = menu->addMenu(tr("Open &recent"));
    connect(m_recentMenu, &QMenu::aboutToShow, this, &MainWindow::fillRecentMenu);
    menu->addSeparator();
    m_export = action(tr("&Export GGUF…"), Qt::CTRL | Qt::Key_E, [this] { chooseTarget(); });
    m_export->setIcon(icon("export"));
    menu->addAction(m_export);
    menu->addAction(action(tr("Save &table as CSV…"), {}, [this] {
        saveFile(tr("Save the table"), tr("tensors.csv"), tr("Tables (*.csv)"),
                 [this] { return m_modelPanel->tensorsAsCsv().toUtf8(); });
    }));
    m_modelActions.push_back(menu->actions().back());
    menu->addAction(action(tr("Save &metadata as CSV…"), {}, [this] {
        saveFile(tr("Save the metadata"), tr("metadata.csv"), tr("Tables (*.csv)"),
                 [this] { return m_modelPanel->metadataAsCsv().toUtf8(); });
    }));
    m_modelActions.push_back(menu->actions().back());
    menu->addSeparator();
    menu->addAction(action(tr("&Quit"), QKeySequence::Quit, [this] { close(); }));
    menu->actions().back()->setShortcut(Qt::CTRL | Qt::Key_Q);
}

void MainWindow::fillRecentMenu()
{
    m_recentMenu->clear();
    for (const QString& path : m_settings->recentModels()) {
        QAction* entry = m_recentMenu->addAction(QString(path).replace(u'&', QStringLiteral("&&")),
                                                 [this, path] { openModel(path); });
        entry->setEnabled(QFileInfo::exists(path));
        entry->setToolTip(entry->isEnabled() ? path : tr("This file is no longer there."));
    }
    m_recentMenu->addSeparator();
    QAction* clear = m_recentMenu->addAction(tr("&Clear"), [this] { m_settings->clearRecentModels(); });
    clear->setEnabled(!m_settings->recentModels().isEmpty());
}

void MainWindow::createEditMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Edit"));
    QAction* undo = m_editor.history()->createUndoAction(this, tr("&Undo"));
    undo->setShortcut(QKeySequence::Undo);
    undo->setIcon(icon("undo"));
    QAction* redo = m_editor.history()->createRedoAction(this, tr("&Redo"));
    redo->setShortcuts({QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_Z), QKeySequence(Qt::CTRL | Qt::Key_Y)});
    redo->setIcon(icon("redo"));
    undo->setObjectName("undo");
    redo->setObjectName("redo");
    menu->addActions({undo, redo});
    menu->addSeparator();
    menu->addAction(action(tr("&Find tensor"), QKeySequence::Find, [this] {
        m_modelDock->show();
        m_modelPanel->focusFilter();
    }));
    menu->addAction(action(tr("&Go to…"), Qt::CTRL | Qt::Key_K, [this] {
        fillRecentMenu();
        auto* palette = new CommandPalette(&m_session, menuCommands(*menuBar()), this);
        palette->open();
    }));
}

void MainWindow::createViewMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&View"));
    std::vector<QDockWidget*> docks {m_modelDock, m_tuneDock};
    docks.insert(docks.begin() + 1, m_viewDocks.begin(), m_viewDocks.end());
    docks.push_back(m_jobsDock);
    for (QDockWidget* dock : docks)
        menu->addAction(dock->toggleViewAction());
    menu->addSeparator();
    menu->addAction(action(tr("&Explore"), Qt::CTRL | Qt::Key_1, [this] { arrange(Perspective::Explore); }));
    menu->addAction(action(tr("T&une"), Qt::CTRL | Qt::Key_2, [this] { arrange(Perspective::Tune); }));
    menu->addAction(action(tr("&Reset layout"), {}, [this] { arrange(Perspective::Explore); }));
    menu->addSeparator();

    QMenu* themes = menu->addMenu(tr("T&heme"));
    auto* group = new QActionGroup(this);
    const std::pair<QString, Theme> all[]
        = {{tr("Like the &system"), Theme::System}, {tr("&Light"), Theme::Light}, {tr("&Dark"), Theme::Dark}};
    for (const auto& [name, theme] : all) {
        QAction* entry = themes->addAction(name, [this, theme = theme] {
            m_settings->setTheme(theme);
            applyTheme(theme);
        });
        entry->setCheckable(true);
        entry->setChecked(m_settings->theme() == theme);
        group->addAction(entry);
    }
    menu->addAction(
        action(tr("&Full screen"), Qt::Key_F11, [this] { setWindowState(windowState() ^ Qt::WindowFullScreen); }));
}

void MainWindow::createModelMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Model"));
    menu->setToolTipsVisible(true);
    const QString imatrixFilter = tr("Importance matrices (*.gguf *.dat *.imatrix)");
    menu->addAction(action(tr("&Load importance matrix…"), Qt::CTRL | Qt::Key_I, [this, imatrixFilter] {
        chooseFile(tr("Load an importance matrix"), imatrixFilter, &MainWindow::loadImatrix);
    }));
    m_modelActions.push_back(menu->actions().back());
    m_forgetImatrix = action(tr("&Forget calibration"), {}, [this] { forgetImatrix(); });
    menu->addAction(m_forgetImatrix);
    menu->addSeparator();
    m_calibrate = action(tr("&Calibrate…"), Qt::CTRL | Qt::SHIFT | Qt::Key_K, [this] { chooseCalibration(); });
    m_calibrate->setIcon(icon("calibrate"));
    menu->addAction(m_calibrate);
    m_evaluate = action(tr("&Evaluate…"), Qt::CTRL | Qt::SHIFT | Qt::Key_E, [this] { chooseEvaluation(); });
    m_evaluate->setIcon(icon("evaluate"));
    menu->addAction(m_evaluate);
    menu->addSeparator();
    menu->addAction(action(tr("Select the &worst tensor"), Qt::CTRL | Qt::Key_W, [this] { selectWorst(); }));
    m_modelActions.push_back(menu->actions().back());
}

void MainWindow::createQuantizeMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Quantize"));
    QMenu* presets = menu->addMenu(tr("&Preset"));
    presets->setToolTipsVisible(true);
    for (const quern::Preset& preset : quern::presets()) {
        QAction* entry
            = presets->addAction(text(preset.name), [this, preset = &preset] { m_editor.usePreset(preset); });
        entry->setToolTip(QCoreApplication::translate("core", preset.summary));
    }
    m_planActions.push_back(presets->menuAction());
    menu->addAction(action(tr("&Drop all single choices"), {}, [this] {
        quern::Recipe recipe = m_editor.wanted();
        recipe.rules.clear();
        m_editor.change(std::move(recipe), tr("Drop all single choices"));
    }));
    m_planActions.push_back(menu->actions().back());
    menu->addAction(action(tr("Compare &methods"), Qt::CTRL | Qt::Key_M, [this] { raiseView("methods"); }));
    m_planActions.push_back(menu->actions().back());
    menu->addSeparator();
    menu->addAction(action(tr("&Open recipe…"), Qt::CTRL | Qt::Key_R, [this] {
        chooseFile(tr("Open a recipe"), tr("Recipes (*.json)"), &MainWindow::openRecipe);
    }));
    m_modelActions.push_back(menu->actions().back());
    menu->addAction(action(tr("&Save recipe…"), QKeySequence::Save, [this] {
        saveFile(tr("Save the recipe"), tr("recipe.json"), tr("Recipes (*.json)"),
                 [this] { return QByteArray::fromStdString(quern::toJson(m_session.recipe())); });
    }));
    m_planActions.push_back(menu->actions().back());
    menu->addAction(action(tr("&Copy command line"), Qt::CTRL | Qt::SHIFT | Qt::Key_C, [this] { copyCommandLine(); }));
    m_planActions.push_back(menu->actions().back());
}

void MainWindow::createToolsMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Tools"));
    menu->addAction(action(tr("&Threads…"), {}, [this] {
        auto* dialog = new QInputDialog(this);
        dialog->setAttribute(Qt::WA_DeleteOnClose);
        dialog->setWindowTitle(tr("Threads"));
        dialog->setLabelText(
            tr("Threads for heavy work; 0 stands for all of this machine (%1):").arg(QThread::idealThreadCount()));
        dialog->setInputMode(QInputDialog::IntInput);
        dialog->setIntRange(0, 1024);
        dialog->setIntValue(m_settings->threads());
        connect(dialog, &QInputDialog::intValueSelected, this, [this](int threads) {
            m_settings->setThreads(threads);
            quern::setThreads(threads);
        });
        dialog->open();
    }));
    m_clearCache = action(tr("&Clear kept results"), {}, [this] { clearCache(); });
    m_clearCache->setToolTip(tr("Calibrations that are kept from one start to the next"));
    menu->addAction(m_clearCache);
    menu->setToolTipsVisible(true);
    menu->addAction(action(tr("&Jobs"), Qt::CTRL | Qt::Key_J, [this] {
        m_jobsDock->show();
        m_jobsDock->raise();
    }));
}

void MainWindow::createHelpMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Help"));
    menu->addAction(action(tr("Open &demo"), {}, [this] { openDemo(); }));
    menu->addAction(action(tr("&Keyboard shortcuts"), QKeySequence::HelpContents,
                           [this] { showShortcuts(menuCommands(*menuBar()), this); }));
    menu->addSeparator();
    menu->addAction(action(tr("&About Quern"), {}, [this] { showAbout(this); }));
    menu->addAction(action(tr("About &Qt"), {}, [] { QApplication::aboutQt(); }));
}

void MainWindow::createToolBars()
{
    QToolBar* main = addToolBar(tr("Main"));
    main->setObjectName("mainToolBar");
    main->setMovable(false);
    main->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    main->addActions({findChild<QAction*>("openFile"), findChild<QAction*>("undo"), findChild<QAction*>("redo")});
    for (const char* name : {"undo", "redo"})
        static_cast<QToolButton*>(main->widgetForAction(findChild<QAction*>(name)))
            ->setToolButtonStyle(Qt::ToolButtonIconOnly);
    main->addSeparator();
    main->addAction(m_calibrate);
    main->addAction(m_evaluate);
    main->addAction(m_export);
    auto* exportButton = static_cast<QToolButton*>(main->widgetForAction(m_export));
    QFont bold = exportButton->font();
    bold.setBold(true);
    exportButton->setFont(bold);
    main->addSeparator();
    m_budget = new BudgetStrip(&m_session, main);
    main->addWidget(m_budget);

    addToolBarBreak();
    m_infoRow = addToolBar(tr("Messages"));
    m_infoRow->setObjectName("messages");
    m_infoRow->setMovable(false);
    m_infoRow->toggleViewAction()->setVisible(false);
    m_info = new InfoBar(m_infoRow);
    QAction* shown = m_infoRow->addWidget(m_info);
    connect(m_info, &InfoBar::shownChanged, this, [this, shown](bool on) {
        shown->setVisible(on);
        m_infoRow->setVisible(on);
    });
    m_info->dismiss();
}

void MainWindow::enableActions()
{
    const bool model = m_session.model() != nullptr, plan = m_session.plan() != nullptr;
    for (QAction* action : m_modelActions)
        action->setEnabled(model);
    for (QAction* action : m_planActions)
        action->setEnabled(model);
    m_forgetImatrix->setEnabled(m_session.calibration() != nullptr);
    m_export->setEnabled(plan);
    m_export->setToolTip(plan        ? tr("Write the model as GGUF, quantized as planned (Ctrl+E)")
                             : model ? m_session.planError()
                                     : tr("Open a model first."));
    m_evaluate->setEnabled(plan && m_runObstacle.isEmpty());
    m_calibrate->setEnabled(model && m_runObstacle.isEmpty());
    m_calibrate->setToolTip(!model ? tr("Open a model first.")
                                : !m_runObstacle.isEmpty()
                                ? m_runObstacle
                                : tr("See what the weights receive when the model reads a text (Ctrl+Shift+K)"));
    m_clearCache->setEnabled(!m_jobs.busy());
    m_evaluate->setToolTip(
        !model                         ? tr("Open a model first.")
            : !m_runObstacle.isEmpty() ? m_runObstacle
            : !plan                    ? m_session.planError()
                    : tr("Compare the predictions of the quantized model with the original's (Ctrl+Shift+E)"));
}
