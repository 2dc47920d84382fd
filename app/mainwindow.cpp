#include "app/mainwindow.h"

#include "core/preset.h"
#include "widgets/budgetstrip.h"
#include "widgets/infobar.h"
#include "widgets/jobstatus.h"
#include "widgets/text.h"
#include "widgets/tunepanel.h"

#include <QApplication>
#include <QCloseEvent>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QStatusBar>

namespace {

constexpr int kPatience = 5000; // ms that closing waits for cancelled work

}

// Icons live in a static library, whose initialisers the linker would leave out. Q_INIT_RESOURCE wants no namespace.
static void loadIcons()
{
    Q_INIT_RESOURCE(resources);
}

MainWindow::MainWindow(Settings* settings, QWidget* parent)
    : QMainWindow(parent)
    , m_settings(settings)
{
    loadIcons();
    setWindowTitle(tr("Quern"));
    setAcceptDrops(true);
    createDocks();
    createMenus();
    createToolBars();
    m_status = new JobStatus(&m_jobs, &m_analysis, this);
    statusBar()->addPermanentWidget(m_status, 1);
    enableActions();
    restoreLayout();

    connect(&m_session, &Session::recipeChanged, this, &MainWindow::enableActions);
    connect(&m_session, &Session::recipeChanged, this, [this] {
        if (const quern::Preset* preset = m_session.recipe().preset)
            m_settings->setPreset(text(preset->name));
    });
    connect(&m_session, &Session::recipeChanged, this, &MainWindow::recallEvaluation);
    connect(&m_analysis, &Analysis::failed, this,
            [this](const QString& sentence) { m_info->tell(InfoBar::Tone::Error, sentence); });
    connect(&m_jobs, &JobQueue::busyChanged, this, &MainWindow::enableActions);
    connect(&m_jobs, &JobQueue::busyChanged, this, [this] {
        if (std::exchange(m_queueHeld, m_jobs.busy()) != m_jobs.busy())
            m_jobs.busy() ? m_analysis.hold() : m_analysis.release();
    });
    connect(&m_jobs, &JobQueue::failed, this, [this](const QString& title, const quern::Error& error) {
        refuse(tr("“%1” has failed").arg(title), sentence(error));
    });
    connect(&m_opening, &Job::failed, this, [this](const quern::Error& error) {
        const QString reason = sentence(error);
        refuse(tr("The model cannot be opened"), reason);
        emit openFailed(reason);
    });
    connect(m_tunePanel, &TunePanel::dragStarted, &m_analysis, &Analysis::hold);
    connect(m_tunePanel, &TunePanel::dragEnded, &m_analysis, &Analysis::release);
    connect(m_budget, &BudgetStrip::kindActivated, &m_session, &Session::chooseKind);
    connect(&m_session, &Session::kindChosen, this, &MainWindow::selectWorst);
    connect(&m_session, &Session::evaluationWanted, this, &MainWindow::chooseEvaluation);
    connect(&m_session, &Session::opened, this, [this] { raiseView("matrix"); });
    connect(&m_analysis, &Analysis::completed, this, [this] {
        if (!m_demo.isEmpty() && m_editor.history()->count() == 0)
            selectWorst();
    });
}

MainWindow::~MainWindow()
{
    // Work reads what members of this window own: it ends before they do.
    m_analysis.stop();
    m_jobs.cancelAll();
    m_opening.cancel();
    m_examining.cancel();
    m_recalling.cancel();
    disconnect(&m_jobs, nullptr, this, nullptr);
}

void MainWindow::selectWorst(const QString& kind)
{
    int worst = -1;
    double error = -1;
    for (int i = 0; i < m_session.tensorCount(); ++i) {
        const std::string& name = m_session.model()->tensors[static_cast<std::size_t>(i)].name;
        if (!kind.isEmpty() && text(quern::kindOf(name)) != kind)
            continue;
        const auto known = m_session.error(i);
        if (const double relative = known ? known->distortion.relative() : 0; relative > error) {
            worst = i;
            error = relative;
        }
    }
    if (worst >= 0)
        m_session.select(worst);
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (const JobQueue::Task* task = m_jobs.current()) {
        QMessageBox box(QMessageBox::Question, tr("Quit"), tr("“%1” is still running.").arg(task->title),
                        QMessageBox::NoButton, this);
        const QPushButton* quit = box.addButton(tr("&Stop it and quit"), QMessageBox::AcceptRole);
        box.addButton(tr("&Keep running"), QMessageBox::RejectRole);
        box.exec();
        if (box.clickedButton() != quit)
            return event->ignore();
    }
    m_settings->setLayout(saveGeometry(), saveState());
    m_analysis.stop();
    m_jobs.cancelAll();
    m_opening.cancel();
    QApplication::setOverrideCursor(Qt::WaitCursor);
    m_jobs.wait(kPatience);
    m_analysis.wait(kPatience);
    QApplication::restoreOverrideCursor();
    event->accept();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    const QList<QUrl> urls = event->mimeData()->urls();
    if (urls.size() == 1 && urls.front().isLocalFile())
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event)
{
    event->acceptProposedAction();
    const QString path = event->mimeData()->urls().front().toLocalFile();
    if (path.endsWith(QStringLiteral(".json")) && !path.endsWith(QStringLiteral("index.json"))
        && !path.endsWith(QStringLiteral("config.json")))
        openRecipe(path);
    else
        openModel(path);
}
