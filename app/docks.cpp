#include "app/mainwindow.h"
#include "widgets/budgetstrip.h"
#include "widgets/modelpanel.h"
#include "widgets/table.h"
#include "widgets/tunepanel.h"
#include "widgets/view.h"

#include <QCoreApplication>
#include <QDockWidget>
#include <QGuiApplication>
#include <QHeaderView>
#include <QScreen>

#include <algorithm>

QDockWidget* MainWindow::addDock(const char* id, const QString& title, QWidget* content)
{
    auto* dock = new QDockWidget(title, this);
    dock->setObjectName(QLatin1String(id));
    dock->setWidget(content);
    dock->setAccessibleName(title);
    return dock;
}

void MainWindow::createDocks()
{
    setDockNestingEnabled(true);
    setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    m_modelPanel = new ModelPanel(&m_session, m_editor.history(), this);
    m_modelDock = addDock("model", tr("Model"), m_modelPanel);
    m_tunePanel = new TunePanel(&m_session, &m_editor, this);
    m_tuneDock = addDock("tune", tr("Tune"), m_tunePanel);
    for (const View* view : views())
        m_viewDocks.push_back(
            addDock(view->id, QCoreApplication::translate("View", view->title), view->create(&m_session, this)));

    auto* jobs = new Table(this);
    jobs->setModel(&m_jobs);
    jobs->setSortingEnabled(false);
    jobs->setRootIsDecorated(false);
    jobs->setAccessibleName(tr("Jobs"));
    jobs->header()->resizeSection(JobQueue::Title, 300);
    jobs->header()->resizeSection(JobQueue::Step, 400);
    m_jobsDock = addDock("jobs", tr("Jobs"), jobs);
    arrange(Perspective::Explore);
}

// Explore: everything, for looking around. Tune: one tensor's settings and its plots, without the model.
void MainWindow::arrange(Perspective perspective)
{
    std::vector<QDockWidget*> all = m_viewDocks;
    all.insert(all.end(), {m_modelDock, m_tuneDock, m_jobsDock});
    for (QDockWidget* dock : all) {
        dock->setFloating(false);
        removeDockWidget(dock);
    }
    QDockWidget* centre = m_viewDocks.empty() ? m_tuneDock : m_viewDocks.front();
    addDockWidget(Qt::LeftDockWidgetArea, m_modelDock);
    splitDockWidget(m_modelDock, centre, Qt::Horizontal);
    if (centre != m_tuneDock)
        splitDockWidget(centre, m_tuneDock, Qt::Horizontal);
    for (std::size_t i = 1; i < m_viewDocks.size(); ++i) {
        if (i == 1)
            splitDockWidget(centre, m_viewDocks[1], Qt::Vertical);
        else
            tabifyDockWidget(m_viewDocks[1], m_viewDocks[i]);
    }
    addDockWidget(Qt::BottomDockWidgetArea, m_jobsDock);
    for (QDockWidget* dock : all)
        dock->show();
    m_jobsDock->hide();
    m_modelDock->setVisible(perspective == Perspective::Explore);
    if (m_viewDocks.size() > 1) {
        m_viewDocks[1]->raise();
        resizeDocks({m_viewDocks[0], m_viewDocks[1]}, perspective == Perspective::Explore ? QList {1, 1} : QList {2, 3},
                    Qt::Vertical);
    }
    const int left = fontMetrics().averageCharWidth() * 52, right = fontMetrics().averageCharWidth() * 44;
    resizeDocks({m_modelDock, centre, m_tuneDock}, {left, std::max(width() - left - right, right), right},
                Qt::Horizontal);
}

void MainWindow::restoreLayout()
{
    const QByteArray geometry = m_settings->geometry(), layout = m_settings->layout();
    const bool placed = !geometry.isEmpty() && restoreGeometry(geometry);
    const QList<QScreen*> screens = QGuiApplication::screens();
    const bool visible = std::ranges::any_of(
        screens, [&](const QScreen* screen) { return screen->availableGeometry().intersects(frameGeometry()); });
    if (!placed || !visible) {
        constexpr QSize kUsual(1440, 900), kFrame(40, 60); // the frame is not known before the window is shown
        const QRect screen = QGuiApplication::primaryScreen()->availableGeometry();
        const QSize room = screen.size() - kFrame;
        resize(kUsual.boundedTo(room));
        move(screen.center() - QPoint(width(), height()) / 2);
        if (size() != kUsual)
            setWindowState(windowState() | Qt::WindowMaximized);
    }
    if (layout.isEmpty() || !restoreState(layout))
        arrange(Perspective::Explore);
}

void MainWindow::raiseView(const char* id)
{
    for (QDockWidget* dock : m_viewDocks)
        if (dock->objectName() == QLatin1String(id)) {
            dock->show();
            dock->raise();
        }
}
