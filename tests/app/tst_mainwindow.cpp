#include "app/demo.h"
#include "app/mainwindow.h"
#include "core/gguf.h"
#include "core/modelmaker.h"
#include "core/preset.h"
#include "tests/strict.h"
#include "widgets/budgetstrip.h"
#include "widgets/infobar.h"
#include "widgets/jobstatus.h"
#include "widgets/text.h"

#include <QAbstractButton>
#include <QDialogButtonBox>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFileDialog>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QSignalSpy>
#include <QSlider>
#include <QTemporaryDir>
#include <QtTest>

#include <set>

class TestMainWindow : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();
    void staysAsItIsWithoutAModel();
    void demoIsOpenedAndMeasured();
    void everyTensorCanBeSelected();
    void sliderChangesThePlanAndUndoBringsItBack();
    void exportIsWrittenAndOpensAgain();
    void cancelledExportLeavesNothing();
    void malformedFileLeavesTheOldModel();
    void droppedModelIsOpened();
    void budgetStripSelectsTheKind();
    void everyDialogOpens();
    void recipeIsSavedAndOpenedAgain();
    void layoutComesBack();
    void uselessLayoutIsIgnored();
    void mnemonicsAreUnique();
    void recentModelsAreKept();

private:
    void openDemo();
    void openTiny(); // a model of a few thousand weights
    void openAndWait(const QString& path);
    QAction* action(const QString& text) const;

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<Settings> m_settings;
    std::unique_ptr<MainWindow> m_window;
};

namespace {

constexpr int kLong = 120000; // ms: for work under sanitizers on a busy machine

QString plain(QString text)
{
    return text.remove(u'&').remove(u'…');
}

} // namespace

void TestMainWindow::initTestCase()
{
    QVERIFY2(!demoPath().isEmpty(), "the demo model is missing from resources/demo/demo");
    QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
}

void TestMainWindow::init()
{
    strict::failOnWarnings();
    m_folder = std::make_unique<QTemporaryDir>();
    m_settings = std::make_unique<Settings>(m_folder->filePath("settings.ini"));
    m_window = std::make_unique<MainWindow>(m_settings.get());
    m_window->resize(1280, 720);
    m_window->show();
}

void TestMainWindow::cleanup()
{
    m_window.reset();
    m_settings.reset();
    m_folder.reset();
}

void TestMainWindow::openAndWait(const QString& path)
{
    QSignalSpy opened(m_window.get(), &MainWindow::modelOpened);
    m_window->openModel(path);
    QVERIFY(opened.wait(kLong));
}

void TestMainWindow::openDemo()
{
    openAndWait(demoPath());
}

void TestMainWindow::openTiny()
{
    quern::Model model;
    model.metadata.set("general.architecture", std::string("llama"));
    model.metadata.set("llama.block_count", std::uint32_t {2});
    std::uint64_t seed = 0;
    for (const char* name : {"token_embd.weight", "blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.1.attn_q.weight",
                             "blk.1.ffn_down.weight", "output.weight"})
        modelmaker::add(model, name, {8, 256}, modelmaker::normalWeights(8 * 256, ++seed));
    quern::NoProgress progress;
    quern::writeModel(model, m_folder->filePath("tiny.gguf").toStdString(), false, progress);
    openAndWait(m_folder->filePath("tiny.gguf"));
}

QAction* TestMainWindow::action(const QString& text) const
{
    const auto actions = m_window->findChildren<QAction*>();
    const auto it = std::ranges::find_if(actions, [&](QAction* action) { return plain(action->text()) == text; });
    return it == actions.end() ? nullptr : *it;
}

// A layout that asks for more room each time it is given some would never come to rest.
void TestMainWindow::staysAsItIsWithoutAModel()
{
    m_window->arrange(MainWindow::Perspective::Explore);
    QTest::qWait(100);
    const QSize before = m_window->size();
    QTest::qWait(300);
    QCOMPARE(m_window->size(), before);
}

void TestMainWindow::demoIsOpenedAndMeasured()
{
    openDemo();
    Session* session = m_window->session();
    QVERIFY(session->model());
    QVERIFY2(session->plan(), qPrintable(session->planError()));
    QCOMPARE(text(session->recipe().preset->name), QString("Q4_K_M"));
    QTRY_VERIFY_WITH_TIMEOUT(m_window->analysis()->complete(), kLong);
    for (int i = 0; i < session->tensorCount(); ++i) {
        QVERIFY(session->stats(i));
        QVERIFY2(session->error(i) && session->error(i)->exact, qPrintable(session->failure(i)));
    }
    QStringList labels;
    for (const QLabel* label : m_window->findChild<JobStatus*>()->findChildren<QLabel*>())
        labels << label->text();
    QVERIFY2(labels.join(u' ').contains(QLocale().toString(session->model()->parameters())),
             qPrintable(labels.join(u' ')));
    // The demo shows its worst tensor by itself.
    const double worst = session->error(session->selected())->distortion.relative();
    for (int i = 0; i < session->tensorCount(); ++i)
        QVERIFY(session->error(i)->distortion.relative() <= worst);
}

void TestMainWindow::everyTensorCanBeSelected()
{
    openTiny();
    for (int i = 0; i < m_window->session()->tensorCount(); ++i) {
        m_window->session()->select(i);
        QCoreApplication::processEvents();
        QCOMPARE(m_window->session()->selected(), i);
    }
    QVERIFY(!m_window->grab().isNull());
}

void TestMainWindow::sliderChangesThePlanAndUndoBringsItBack()
{
    openTiny();
    Session* session = m_window->session();
    const auto selected = static_cast<std::size_t>(session->selected());
    const quern::Choice before = session->plan()->tensors[selected].choice;
    const std::uint64_t bytes = session->plan()->fileBytes;
    auto* slider = m_window->findChild<QSlider*>();
    slider->setSliderDown(true);
    for (const int bits : {6, 7, 8})
        slider->setValue(bits);
    slider->setSliderDown(false);
    QTRY_COMPARE(session->plan()->tensors[selected].choice.format->affine.bits, 8);
    QTRY_VERIFY(!m_window->recipe()->busy());
    QCOMPARE(m_window->recipe()->history()->count(), 1);
    QVERIFY(session->plan()->fileBytes > bytes);
    QTRY_VERIFY_WITH_TIMEOUT(session->error(session->selected()) && session->error(session->selected())->exact, kLong);
    QVERIFY(session->error(session->selected())->distortion.relative() < 0.02);
    m_window->findChild<QAction*>("undo")->trigger();
    QTRY_VERIFY(session->plan()->tensors[selected].choice == before);
    QCOMPARE(session->plan()->fileBytes, bytes);
}

void TestMainWindow::exportIsWrittenAndOpensAgain()
{
    openTiny();
    Session* session = m_window->session();
    const QString target = m_folder->filePath("demo.gguf");
    const auto plan = session->plan();
    QSignalSpy exported(m_window.get(), &MainWindow::exported);
    m_window->exportTo(target, {});
    QVERIFY(exported.wait(kLong));
    QCOMPARE(static_cast<std::uint64_t>(QFileInfo(target).size()), plan->fileBytes);
    auto* bar = m_window->findChild<InfoBar*>();
    QVERIFY(bar->isVisible());
    QVERIFY2(bar->message().contains("demo.gguf"), qPrintable(bar->message()));

    QSignalSpy opened(m_window.get(), &MainWindow::modelOpened);
    m_window->openModel(target);
    QVERIFY(opened.wait(kLong));
    QCOMPARE(session->model()->tensors.size(), plan->tensors.size());
    std::multiset<std::string_view> planned, written;
    for (const auto& tensor : plan->tensors)
        planned.insert(tensor.stored->name);
    for (const auto& tensor : session->model()->tensors)
        written.insert(tensor.format->name);
    QVERIFY(planned == written);
    QCOMPARE(m_settings->recentModels().front(), QFileInfo(target).absoluteFilePath());
}

void TestMainWindow::cancelledExportLeavesNothing()
{
    openDemo();
    const QString target = m_folder->filePath("demo.gguf");
    m_window->exportTo(target, {});
    m_window->jobs()->cancelCurrent();
    QVERIFY(m_window->jobs()->wait(kLong));
    QCoreApplication::processEvents();
    QVERIFY(QDir(m_folder->path()).entryList({"demo*"}).isEmpty());
}

void TestMainWindow::malformedFileLeavesTheOldModel()
{
    openTiny();
    const auto before = m_window->session()->model();
    const QString path = m_folder->filePath("broken.gguf");
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(QByteArrayLiteral("GGUF\3\0\0\0 and nothing of use behind it"));
    file.close();
    QSignalSpy failed(m_window.get(), &MainWindow::openFailed);
    m_window->openModel(path);
    QVERIFY(failed.wait(kLong));
    QVERIFY(failed[0][0].toString().contains("broken.gguf"));
    QVERIFY(m_window->session()->model() == before);
    auto* box = m_window->findChild<QMessageBox*>();
    QVERIFY(box && box->isVisible());
    QVERIFY(box->informativeText().contains("broken.gguf"));
    box->close();
    QVERIFY(!m_settings->recentModels().contains(path));
}

void TestMainWindow::droppedModelIsOpened()
{
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(demoPath())});
    QDragEnterEvent enter({10, 10}, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(m_window.get(), &enter);
    QVERIFY(enter.isAccepted());
    QSignalSpy opened(m_window.get(), &MainWindow::modelOpened);
    QDropEvent drop({10, 10}, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(m_window.get(), &drop);
    QVERIFY(opened.wait(kLong));

    QMimeData two;
    two.setUrls({QUrl::fromLocalFile("/a"), QUrl::fromLocalFile("/b")});
    QDragEnterEvent refused({10, 10}, Qt::CopyAction, &two, Qt::LeftButton, Qt::NoModifier);
    refused.ignore();
    QCoreApplication::sendEvent(m_window.get(), &refused);
    QVERIFY(!refused.isAccepted());
}

void TestMainWindow::budgetStripSelectsTheKind()
{
    openTiny();
    auto* strip = m_window->findChild<BudgetStrip*>();
    QTRY_VERIFY_WITH_TIMEOUT(m_window->analysis()->complete(), kLong);
    QVERIFY(!strip->shares().empty());
    strip->setFocus();
    QSignalSpy activated(strip, &BudgetStrip::kindActivated);
    QTest::keyClick(strip, Qt::Key_Right);
    QTest::keyClick(strip, Qt::Key_Return);
    QCOMPARE(activated.size(), 1);
    const QString kind = activated[0][0].toString();
    QCOMPARE(kind, text(strip->shares()[1].kind));
    const auto selected = static_cast<std::size_t>(m_window->session()->selected());
    QCOMPARE(text(quern::kindOf(m_window->session()->model()->tensors[selected].name)), kind);
    QVERIFY(strip->accessibleDescription().contains(kind));
}

void TestMainWindow::everyDialogOpens()
{
    openTiny();
    for (const char* name :
         {"Open file", "Open folder", "Export GGUF", "Save table as CSV", "Save metadata as CSV", "Go to",
          "Load importance matrix", "Open recipe", "Save recipe", "Threads", "Keyboard shortcuts", "About Quern"}) {
        QAction* open = action(name);
        QVERIFY2(open, name);
        QVERIFY2(open->isEnabled(), name);
        open->trigger();
        QDialog* dialog = nullptr;
        QTRY_VERIFY2((dialog = m_window->findChild<QDialog*>(QString(), Qt::FindDirectChildrenOnly))
                         && dialog->isVisible(),
                     name);
        QVERIFY2(!dialog->windowTitle().isEmpty(), name);
        QVERIFY(!dialog->grab().isNull());
        dialog->close();
        QTRY_VERIFY2(!m_window->findChild<QDialog*>(QString(), Qt::FindDirectChildrenOnly), name);
    }
}

void TestMainWindow::recipeIsSavedAndOpenedAgain()
{
    openTiny();
    Session* session = m_window->session();
    quern::Recipe recipe;
    recipe.preset = quern::findPreset("Q8_0");
    recipe.rules.push_back({"blk.0.*", {quern::findQuantizer("nearest"), quern::findBlockFormat("F16"), {}}});
    m_window->recipe()->change(recipe, "test");
    QTRY_VERIFY(session->recipe() == recipe);
    const QString path = m_folder->filePath("recipe.json");
    m_window->saveRecipe(path);
    m_window->recipe()->history()->undo();
    QTRY_VERIFY(session->recipe() != recipe);
    m_window->openRecipe(path);
    QTRY_VERIFY(session->recipe() == recipe);
}

void TestMainWindow::layoutComesBack()
{
    auto* dock = m_window->findChild<QDockWidget*>("tune");
    QVERIFY(dock->isVisible());
    dock->hide();
    m_window->close();
    m_window = std::make_unique<MainWindow>(m_settings.get());
    m_window->show();
    QVERIFY(!m_window->findChild<QDockWidget*>("tune")->isVisible());
    m_window->arrange(MainWindow::Perspective::Explore);
    QVERIFY(m_window->findChild<QDockWidget*>("tune")->isVisible());
}

void TestMainWindow::uselessLayoutIsIgnored()
{
    m_settings->setLayout("no geometry", "no layout");
    m_window = std::make_unique<MainWindow>(m_settings.get());
    m_window->show();
    QVERIFY(m_window->findChild<QDockWidget*>("model")->isVisible());
    QVERIFY(m_window->width() >= 640);
}

void TestMainWindow::mnemonicsAreUnique()
{
    const auto mnemonics = [](const QList<QAction*>& actions) {
        QStringList keys;
        for (const QAction* action : actions)
            if (const QKeySequence key = QKeySequence::mnemonic(action->text()); !key.isEmpty())
                keys << key.toString();
        return keys;
    };
    QList<QAction*> menus = m_window->menuBar()->actions();
    QCOMPARE(mnemonics(menus).size(), menus.size());
    QList<QList<QAction*>> all {menus};
    for (const QAction* menu : menus)
        all << menu->menu()->actions();
    for (const QList<QAction*>& actions : all) {
        const QStringList keys = mnemonics(actions);
        for (const QString& key : keys)
            QVERIFY2(keys.count(key) == 1, qPrintable(actions.front()->text() + ": " + key));
    }
}

void TestMainWindow::recentModelsAreKept()
{
    for (int i = 0; i < 12; ++i)
        m_settings->addRecentModel(QString("/m/%1.gguf").arg(i));
    m_settings->addRecentModel("/m/5.gguf");
    QCOMPARE(m_settings->recentModels().size(), 10);
    QCOMPARE(m_settings->recentModels().front(), QString("/m/5.gguf"));
    QCOMPARE(m_settings->recentModels().count("/m/5.gguf"), 1);
    QCOMPARE(Settings(m_folder->filePath("settings.ini")).recentModels(), m_settings->recentModels());
    m_settings->clearRecentModels();
    QVERIFY(m_settings->recentModels().isEmpty());
}

QTEST_MAIN(TestMainWindow)
#include "tst_mainwindow.moc"
