#include "app/paths.h"
#include "core/calibrate.h"
#include "core/chunks.h"
#include "core/gguf.h"
#include "core/modelmaker.h"
#include "core/preset.h"
#include "tests/app/windowtest.h"

#include <QDialogButtonBox>
#include <QDockWidget>
#include <QMessageBox>
#include <QPushButton>
#include <QSpinBox>

// The jobs that run the model, on the demo.
class TestRunning : public WindowTest {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { open(); }
    void cleanup() { close(); }
    void evaluationIsWhatCoreFinds();
    void evaluationIsOfItsRecipe();
    void aloneWhereNothingChanges();
    void cancelledEvaluationShowsNothing();
    void unreadableTextIsRefused();
    void dialogSaysWhatItTakes();
    void modelWithoutTokenizerCannotBeRun();
    void calibrationIsWhatCoreFinds();
    void calibrationIsSavedToo();
};

void TestRunning::evaluationIsWhatCoreFinds()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    QSignalSpy changed(session, &Session::evaluationChanged);
    m_window->evaluate(shortRun());
    QVERIFY(changed.wait(kLong));
    const auto found = session->evaluation();
    QVERIFY(found && session->evaluationIsCurrent());
    QCOMPARE(found->recipe, QString("Q4_0"));
    QCOMPARE(found->figures.text, std::string("evaluation.txt"));
    QVERIFY(m_window->findChild<QDockWidget*>("output")->isVisible());

    quern::NoProgress quiet;
    const auto chunks = quern::chunksOf(quern::tokenizerOf(*session->model()), textOf(shortRun()), 32, 2, quiet);
    const quern::Model quantized = quern::quantize(*session->model(), *session->plan(), nullptr, {}, quiet);
    const quern::Evaluation direct = quern::evaluate(quantized, *session->model(), chunks, {}, quiet);
    QCOMPARE(found->figures.predictions.tokens, 2L * chunks.scored());
    QCOMPARE(found->figures.predictions.divergences, direct.predictions.divergences);
    QCOMPARE(found->figures.predictions.perplexity, direct.predictions.perplexity);
    QCOMPARE(found->figures.hiddenErrors, direct.hiddenErrors);
    QVERIFY(direct.predictions.divergence.value > 0);
}

void TestRunning::evaluationIsOfItsRecipe()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    QSignalSpy changed(session, &Session::evaluationChanged);
    m_window->evaluate(shortRun());
    QVERIFY(changed.wait(kLong));
    const double coarse = session->evaluation()->figures.predictions.divergence.value;
    session->setRecipe({.name = {}, .preset = quern::findPreset("Q8_0"), .rules = {}});
    QVERIFY(!session->evaluationIsCurrent());
    m_window->evaluate(shortRun());
    QVERIFY(changed.wait(kLong));
    QVERIFY(session->evaluationIsCurrent());
    QCOMPARE(session->evaluation()->recipe, QString("Q8_0"));
    QVERIFY(session->evaluation()->figures.predictions.divergence.value < coarse / 4);
    actionNamed("Clear kept results")->trigger();
    openAndWait(demoPath());
    QVERIFY(!session->evaluation());
}

void TestRunning::aloneWhereNothingChanges()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    session->setRecipe({});
    QSignalSpy changed(session, &Session::evaluationChanged);
    m_window->evaluate(shortRun());
    QVERIFY(changed.wait(kLong));
    QVERIFY(!session->evaluation()->figures.predictions.compared);
    QVERIFY(session->evaluation()->figures.predictions.perplexity > 1);
}

void TestRunning::cancelledEvaluationShowsNothing()
{
    openAndWait(demoPath());
    TextRun run = shortRun();
    run.most = 0;
    run.context = 512;
    m_window->evaluate(run);
    QTRY_VERIFY_WITH_TIMEOUT(m_window->jobs()->current() && m_window->jobs()->current()->fraction > 0, kLong);
    m_window->jobs()->cancelCurrent();
    QVERIFY(m_window->jobs()->wait(kLong));
    QCoreApplication::processEvents();
    QVERIFY(!m_window->jobs()->busy());
    QVERIFY(!m_window->session()->evaluation());
    // Nothing stays behind on the disk.
    QVERIFY(QDir(m_settings->cacheFolder()).entryList(QDir::Files | QDir::Hidden | QDir::System).isEmpty());
}

void TestRunning::unreadableTextIsRefused()
{
    openAndWait(demoPath());
    m_window->evaluate({m_folder->filePath("absent.txt"), "absent.txt", 64, 2});
    QMessageBox* box = nullptr;
    QTRY_VERIFY_WITH_TIMEOUT((box = m_window->findChild<QMessageBox*>()) && box->isVisible(), kLong);
    QVERIFY2(box->informativeText().contains("absent.txt"), qPrintable(box->informativeText()));
    box->close();
}

void TestRunning::dialogSaysWhatItTakes()
{
    openAndWait(demoPath());
    m_window->session()->wantEvaluation();
    auto* dialog = m_window->findChild<RunDialog*>();
    QVERIFY(dialog);
    QCOMPARE(dialog->run().title, QString("evaluation.txt"));
    auto* start = dialog->findChild<QDialogButtonBox*>()->buttons().front();
    QTRY_VERIFY_WITH_TIMEOUT(dialog->needs().contains("memory"), kLong);
    const QString all = dialog->needs();
    dialog->findChildren<QSpinBox*>()[1]->setValue(3);
    QTRY_VERIFY_WITH_TIMEOUT(dialog->needs().contains("Chunks: 3."), kLong);
    QVERIFY(dialog->needs() != all);
    // More tokens in one chunk than the text has.
    dialog->findChildren<QSpinBox*>()[0]->setValue(1 << 20);
    QTRY_VERIFY_WITH_TIMEOUT(!start->isEnabled() || !dialog->findChildren<QPushButton*>()[1]->isEnabled(), kLong);
    QVERIFY2(!dialog->needs().isEmpty() && !dialog->needs().contains("memory"), qPrintable(dialog->needs()));
    dialog->close();
}

void TestRunning::modelWithoutTokenizerCannotBeRun()
{
    quern::Model model;
    model.metadata.set("general.architecture", std::string("llama"));
    modelmaker::add(model, "blk.0.attn_q.weight", {8, 256}, modelmaker::normalWeights(8 * 256, 1));
    quern::NoProgress quiet;
    const QString path = m_folder->filePath("bare.gguf");
    quern::writeModel(model, nativePath(path), false, quiet);
    openAndWait(path);
    QAction* evaluate = actionNamed("Evaluate");
    QVERIFY(evaluate);
    QVERIFY(!evaluate->isEnabled());
    QVERIFY2(evaluate->toolTip().contains("cannot be run"), qPrintable(evaluate->toolTip()));
    m_window->session()->wantEvaluation(); // from the view's button
    auto* box = m_window->findChild<QMessageBox*>();
    QVERIFY(box && box->isVisible());
    QCOMPARE(box->informativeText(), evaluate->toolTip());
    box->close();
    QVERIFY(!m_window->findChild<RunDialog*>());
}

void TestRunning::calibrationIsWhatCoreFinds()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    QVERIFY(!session->calibration());
    QSignalSpy changed(session, &Session::calibrationChanged);
    QSignalSpy scored(session, &Session::inputOutliersChanged);
    m_window->calibrate(shortRun(), {});
    QVERIFY(changed.wait(kLong));
    quern::NoProgress quiet;
    const auto chunks = quern::chunksOf(quern::tokenizerOf(*session->model()), textOf(shortRun()), 32, 2, quiet);
    const quern::Calibration direct = quern::calibrate(*session->model(), chunks, {}, quiet);
    QCOMPARE(session->calibration()->inputs.size(), direct.inputs.size());
    const quern::InputStats* found = session->calibration()->find("blk.0.ffn_down.weight");
    const quern::InputStats* expected = direct.find("blk.0.ffn_down.weight");
    QVERIFY(found && expected);
    QCOMPARE(found->counts, std::vector<double> {64});
    QVERIFY(found->sumSquares.isApprox(expected->sumSquares, 1e-6));
    QCOMPARE(found->inputs.counts, expected->inputs.counts);
    QCOMPARE(found->outputs.counts, expected->outputs.counts);
    // It is passed on: the command line names the file, errors are weighted, the overview has its scores.
    QVERIFY(std::filesystem::exists(session->calibration()->path));
    QVERIFY(scored.size() > 0 || scored.wait(kLong)); // stopped above, but a calibration is scored all the same
    int known = 0;
    for (int i = 0; i < session->tensorCount(); ++i)
        known += session->inputOutliers(i).has_value() ? 1 : 0;
    QCOMPARE(static_cast<std::size_t>(known), direct.inputs.size());
}

void TestRunning::calibrationIsSavedToo()
{
    openAndWait(demoPath());
    QSignalSpy changed(m_window->session(), &Session::calibrationChanged);
    const QString target = m_folder->filePath("imatrix.gguf");
    m_window->calibrate(shortRun(), target);
    QVERIFY(changed.wait(kLong));
    QCOMPARE(quern::readImatrix(nativePath(target)).inputs.size(), m_window->session()->calibration()->inputs.size());
    // A file that is there is not replaced.
    m_window->calibrate(shortRun(), target);
    QMessageBox* box = nullptr;
    QTRY_VERIFY_WITH_TIMEOUT((box = m_window->findChild<QMessageBox*>()) && box->isVisible(), kLong);
    QVERIFY2(box->informativeText().contains("imatrix.gguf"), qPrintable(box->informativeText()));
    box->close();
}

QTEST_MAIN(TestRunning)
#include "tst_running.moc"
