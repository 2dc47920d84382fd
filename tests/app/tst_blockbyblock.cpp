#include "app/cache.h"
#include "app/kept.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "tests/app/windowtest.h"
#include "tests/core/testfiles.h"
#include "tests/core/tinymodels.h"
#include "widgets/infobar.h"

#include <QCheckBox>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QListWidget>
#include <QMessageBox>
#include <QProcess>
#include <QPushButton>

// Recipes that quantize block by block, in the window.
class TestBlockByBlock : public WindowTest {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { open(); }
    void cleanup() { close(); }
    void exportsWhatItsCommandDoes_data();
    void exportsWhatItsCommandDoes();
    void evaluatesWhatItExports();
    void evaluationIsOfItsText();
    void comesWithACalibration();
    void calibratingSaysWhatItWillTake();
    void saysWhatIsMissing();
    void changedTextIsRefused();
    void textComesBackWithItsCalibration();
    void textUnderAnotherNameIsToldSo();

private:
    void openSmall(); // a model of two blocks that runs quickly
    QString writeText(const QString& name);
    void calibrateAndWait(const TextRun& run);
    void exportAndWait(const QString& target);
    QString copiedCommand(const QString& saved);
    QString refusal();
    Session* session() { return m_window->session(); }
};

namespace {

// Of few tensors, for a model of several blocks.
quern::Recipe sequence(const quern::Settings& settings = {})
{
    quern::Recipe recipe;
    recipe.rules = {{"blk.?.attn_q.weight", {quern::findQuantizer("gptq"), quern::findBlockFormat("Q4_0"), {}}}};
    recipe.sequential = settings;
    return recipe;
}

} // namespace

void TestBlockByBlock::openSmall()
{
    quern::NoProgress quiet;
    const QString path = m_folder->filePath("small.gguf");
    quern::writeModel(tiny::modelOf("llama"), nativePath(path), false, quiet);
    openAndWait(path);
}

QString TestBlockByBlock::writeText(const QString& name)
{
    QString path = m_folder->filePath(name);
    testfiles::put(path.toStdString(), QString("A miller turned the quern. ").repeated(12).toStdString());
    return path;
}

void TestBlockByBlock::calibrateAndWait(const TextRun& run)
{
    QSignalSpy changed(session(), &Session::calibrationChanged);
    m_window->calibrate(run, {});
    QVERIFY(changed.wait(kLong));
    QTRY_VERIFY(!m_window->recipe()->busy());
}

void TestBlockByBlock::exportAndWait(const QString& target)
{
    QSignalSpy exported(m_window.get(), &MainWindow::exported);
    m_window->exportTo(target, {});
    QVERIFY(exported.wait(kLong));
}

// What the line after an export copies. saved: where a text of the program's own is saved, if it asks for that.
QString TestBlockByBlock::copiedCommand(const QString& saved)
{
    QGuiApplication::clipboard()->clear();
    for (QPushButton* button : m_window->findChild<InfoBar*>()->findChildren<QPushButton*>())
        if (button->text() == "&Copy command line")
            button->click();
    if (auto* dialog = m_window->findChild<QFileDialog*>()) {
        dialog->selectFile(saved);
        emit dialog->fileSelected(saved);
        dialog->close();
    }
    return QGuiApplication::clipboard()->text();
}

// Of a job that has failed.
QString TestBlockByBlock::refusal()
{
    QMessageBox* box = nullptr;
    [&] { QTRY_VERIFY_WITH_TIMEOUT((box = m_window->findChild<QMessageBox*>()) && box->isVisible(), kLong); }();
    QString sentence = box ? box->informativeText() : QString();
    delete box;
    return sentence;
}

void TestBlockByBlock::exportsWhatItsCommandDoes_data()
{
    QTest::addColumn<bool>("rescaled");
    QTest::newRow("on the program's text") << false;
    QTest::newRow("on a text, after a rewrite") << true;
}

// To the byte.
void TestBlockByBlock::exportsWhatItsCommandDoes()
{
    QFETCH(bool, rescaled);
    TextRun run = rescaled ? TextRun {writeText("a text.txt"), "a text.txt"} : RunDialog::defaultText();
    run.context = 32;
    run.most = rescaled ? 0 : 2;
    run.moments = rescaled;
    openSmall();
    calibrateAndWait(run);
    quern::Recipe recipe = sequence({{"trust", 0.25}});
    if (rescaled)
        recipe.rewrites = {{quern::findRewrite("awq"), {{"ratios", 2}, {"rows", 16}, {"gain", 0}}}};
    session()->setRecipe(recipe);
    QVERIFY2(session()->plan(), qPrintable(session()->planError()));
    const QString target = m_folder->filePath("out.gguf"), ours = m_folder->filePath("window.gguf");
    exportAndWait(target);
    QVERIFY2(m_window->findChild<InfoBar*>()->message().contains("block by block, on " + run.title),
             qPrintable(m_window->findChild<InfoBar*>()->message()));
    QVERIFY(QFile::rename(target, ours));

    const QString command = copiedCommand(m_folder->filePath("quern.txt"));
    QVERIFY2(command.contains(" --sequential:trust=0.25 "), qPrintable(command));
    QCOMPARE(command.contains("--imatrix"), rescaled);
    QProcess shell;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert("PATH", QUERN_BIN_DIR ":" + environment.value("PATH"));
    shell.setProcessEnvironment(environment);
    shell.start("sh", {"-c", command});
    QVERIFY(shell.waitForFinished(kLong));
    QVERIFY2(shell.exitCode() == 0, qPrintable(command + shell.readAllStandardError()));
    QVERIFY(testfiles::contents(target.toStdString()) == testfiles::contents(ours.toStdString()));
}

void TestBlockByBlock::evaluatesWhatItExports()
{
    openSmall();
    TextRun run = shortRun();
    run.moments = true;
    calibrateAndWait(run);
    session()->setRecipe(sequence());
    evaluateAndWait(shortRun());
    QVERIFY(session()->evaluationIsCurrent());
    const QString target = m_folder->filePath("out.gguf");
    exportAndWait(target);
    quern::NoProgress quiet;
    const quern::Evaluation direct = quern::evaluate(quern::openModel(nativePath(target)), *session()->model(),
                                                     chunksOf(*session()->model(), shortRun(), quiet), {}, quiet);
    QCOMPARE(session()->evaluation()->figures.predictions.divergences, direct.predictions.divergences);
    // Without the sequence it is another's.
    quern::Recipe recipe = session()->recipe();
    recipe.sequential.reset();
    session()->setRecipe(recipe);
    QVERIFY(!session()->evaluationIsCurrent());
    evaluateAndWait(shortRun());
    QVERIFY(session()->evaluation()->figures.predictions.divergences != direct.predictions.divergences);
}

// Evaluations of sequences on two texts are kept apart, although nothing else tells the plans apart.
void TestBlockByBlock::evaluationIsOfItsText()
{
    openSmall();
    TextRun run {writeText("a text.txt"), "a text.txt", 32, 2};
    run.sequential = true;
    calibrateAndWait(run);
    session()->setRecipe(sequence());
    evaluateAndWait(shortRun());
    const Known first {session()->calibration(), session()->text()};
    const auto kept = [&](const Known& known) {
        return kept::evaluation(*session()->model(), *session()->plan(), known, m_settings->cacheFolder());
    };
    QVERIFY(kept(first));
    run.most = 3;
    calibrateAndWait(run);
    QVERIFY(!session()->evaluationIsCurrent());
    QVERIFY(!kept({first.calibration, session()->text()}) && kept(first));
}

void TestBlockByBlock::comesWithACalibration()
{
    openAndWait(demoPath());
    TextRun run = shortRun();
    run.sequential = true;
    const auto goes = [&] { return session()->recipe().sequential.has_value() && session()->plan()->sequential; };
    calibrateAndWait(run);
    QTRY_VERIFY(goes());
    QVERIFY(m_window->findChild<InfoBar*>()->message().contains("block by block on this text"));
    m_window->recipe()->usePreset(quern::findPreset("Q4_1")); // types change, the sequence stays
    QTRY_VERIFY(session()->recipe().preset == quern::findPreset("Q4_1") && goes());
    m_window->recipe()->history()->undo();
    QTRY_VERIFY(session()->recipe().preset == quern::findPreset("Q4_0") && goes());
    m_window->recipe()->history()->undo();
    QTRY_VERIFY(!session()->recipe().sequential);
    show(); // from one start to the next
    openAndWait(demoPath());
    QVERIFY(session()->calibration() && goes());
    QCOMPARE(m_window->recipe()->history()->count(), 0); // nothing to undo
    m_window->forgetImatrix();                           // and the text with it
    QTRY_VERIFY(!session()->text() && !session()->recipe().sequential);
    run.sequential = false;
    calibrateAndWait(run);
    QTRY_VERIFY(!session()->recipe().sequential);
    show();
    openAndWait(demoPath());
    QTRY_VERIFY(session()->text() && !m_window->recipe()->busy());
    QVERIFY(!session()->recipe().sequential);
}

void TestBlockByBlock::calibratingSaysWhatItWillTake()
{
    openAndWait(demoPath());
    const auto needs = [](const RunDialog& dialog) {
        [&] { QTRY_VERIFY_WITH_TIMEOUT(!dialog.needs().isEmpty(), kLong); }();
        return dialog.needs();
    };
    RunDialog calibrate(session(), RunDialog::Purpose::Calibrate, {});
    QVERIFY(calibrate.run().sequential && calibrate.run().moments);
    QVERIFY2(needs(calibrate).contains("export then takes"), qPrintable(calibrate.needs()));
    for (QCheckBox* box : calibrate.findChildren<QCheckBox*>())
        if (box->text().contains("block by block"))
            box->click();
    QVERIFY(!calibrate.run().sequential);
    QVERIFY2(needs(calibrate).contains("memory") && !calibrate.needs().contains("export then takes"),
             qPrintable(calibrate.needs()));
    // Of an evaluation it is a part.
    const RunDialog without(session(), RunDialog::Purpose::Evaluate, {});
    const QString plain = needs(without);
    session()->setRecipe(
        {.name = {}, .preset = session()->recipe().preset, .rules = {}, .sequential = quern::Settings {}});
    const RunDialog missing(session(), RunDialog::Purpose::Evaluate, {});
    QVERIFY2(needs(missing).contains("Calibrate the model on one"), qPrintable(missing.needs()));
    TextRun run = shortRun();
    run.sequential = true;
    calibrateAndWait(run);
    const RunDialog with(session(), RunDialog::Purpose::Evaluate, {});
    QVERIFY2(needs(with).contains("memory") && with.needs() != plain, qPrintable(with.needs()));
}

void TestBlockByBlock::saysWhatIsMissing()
{
    openAndWait(demoPath());
    session()->setRecipe(sequence());
    QVERIFY2(session()->plan(), qPrintable(session()->planError()));
    {
        const ExportDialog dialog(session(), m_folder->path());
        const auto* list = dialog.findChild<QListWidget*>();
        QTRY_VERIFY_WITH_TIMEOUT(!list->findItems("Calibrate the model on one", Qt::MatchContains).isEmpty(), kLong);
        for (const QAbstractButton* button : dialog.findChild<QDialogButtonBox*>()->buttons())
            QCOMPARE(button->isEnabled(), !button->text().contains("Export"));
    }
    m_window->exportTo(m_folder->filePath("out.gguf"), {});
    QVERIFY2(refusal().contains("Calibrate the model on one"), "");
    QVERIFY(!QFile::exists(m_folder->filePath("out.gguf")));
    m_window->evaluate(shortRun());
    QVERIFY2(refusal().contains("Calibrate the model on one"), "");
    actionNamed("Copy command line")->trigger();
    QVERIFY2(refusal().contains("Calibrate the model on a text"), "");
    // With one, the dialog says what it takes.
    calibrateAndWait(shortRun());
    session()->setRecipe(sequence());
    const ExportDialog dialog(session(), m_folder->path());
    const auto* list = dialog.findChild<QListWidget*>();
    QTRY_VERIFY_WITH_TIMEOUT(
        !list->findItems("Block by block, on evaluation.txt (2 chunks): at most", Qt::MatchContains).isEmpty(), kLong);
    QVERIFY(dialog.target().endsWith("-sequential-tuned.gguf"));
}

void TestBlockByBlock::changedTextIsRefused()
{
    openSmall();
    const QString path = writeText("a text.txt");
    calibrateAndWait({path, "a text.txt", 32, 2});
    session()->setRecipe(sequence());
    testfiles::put(path.toStdString(), QString("The quern turned a miller. ").repeated(12).toStdString());
    m_window->exportTo(m_folder->filePath("out.gguf"), {});
    const QString changed = refusal();
    QVERIFY2(changed.contains("a text.txt") && changed.contains("has been changed"), qPrintable(changed));
    QVERIFY(QFile::remove(path));
    m_window->exportTo(m_folder->filePath("out.gguf"), {});
    const QString absent = refusal();
    QVERIFY2(absent.contains("a text.txt") && absent.contains("cannot be read"), qPrintable(absent));
}

void TestBlockByBlock::textComesBackWithItsCalibration()
{
    openSmall();
    const TextRun run {writeText("a text.txt"), "a text.txt", 32, 2};
    calibrateAndWait(run);
    const TextRun first = *session()->text();
    QVERIFY(!first.key.isEmpty());
    QCOMPARE(first.path, run.path);
    show();
    openAndWait(m_folder->filePath("small.gguf"));
    QVERIFY(session()->calibration() && session()->text());
    QVERIFY(*session()->text() == first);
    // What says so may be damaged: then the calibration is known, and its text is not.
    const QStringList files = cache::newest(m_settings->cacheFolder(), "text-");
    QCOMPARE(files.size(), 1);
    testfiles::put(files.front().toStdString(), R"({"path": 3, "context": -1})");
    show();
    openAndWait(m_folder->filePath("small.gguf"));
    QVERIFY(session()->calibration() && !session()->text());
    QVERIFY(cache::newest(m_settings->cacheFolder(), "text-").isEmpty());
}

// Files tell the name of the text that they were made with: what is kept of the same text by another name is of no use.
void TestBlockByBlock::textUnderAnotherNameIsToldSo()
{
    openSmall();
    TextRun run {writeText("a text.txt"), "a text.txt", 32, 2};
    calibrateAndWait(run);
    QCOMPARE(session()->calibration()->datasets, std::vector<std::string> {"a text.txt"});
    run.path = writeText("the same.txt");
    calibrateAndWait(run);
    QCOMPARE(session()->calibration()->datasets, std::vector<std::string> {"the same.txt"});
    QCOMPARE(cache::newest(m_settings->cacheFolder(), "calibration-").size(), 1);
}

QTEST_MAIN(TestBlockByBlock)
#include "tst_blockbyblock.moc"
