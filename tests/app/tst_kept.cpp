#include "app/cache.h"
#include "app/kept.h"
#include "core/evaluationfile.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "tests/app/windowtest.h"
#include "widgets/figurelist.h"

#include <QDockWidget>
#include <QStatusBar>

// Results that are kept from one start to the next.
class TestKept : public WindowTest {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { open(); }
    void cleanup() { close(); }
    void evaluationComesBack();
    void evaluationComesBackWithItsRecipe();
    void evaluationIsKeptByContent();
    void evaluationThatCannotBeKeptIsShown();
    void rewritesAloneAreEvaluated();
    void calibrationComesBack();
    void cacheKeepsTheNewest();

private:
    QStringList keptEvaluations() const;
};

namespace {

// Quick to quantize.
quern::Recipe oneTensor()
{
    const quern::Choice choice {quern::findQuantizer("nearest"), quern::findBlockFormat("Q4_0"), {}};
    return {.name = {}, .preset = nullptr, .rules = {{"blk.0.ffn_down.weight", choice}}};
}

} // namespace

QStringList TestKept::keptEvaluations() const
{
    return cache::newest(m_settings->cacheFolder(), "evaluation-");
}

void TestKept::evaluationComesBack()
{
    openAndWait(demoPath());
    evaluateAndWait(shortRun());
    const auto first = m_window->session()->evaluation();
    show();
    openAndWait(demoPath());
    Session* session = m_window->session();
    QTRY_VERIFY_WITH_TIMEOUT(session->evaluation(), kLong);
    const auto again = session->evaluation();
    QVERIFY(again != first && session->evaluationIsCurrent());
    QCOMPARE(again->recipe, first->recipe);
    QCOMPARE(again->figures.text, first->figures.text);
    QCOMPARE(again->figures.predictions.perplexity, first->figures.predictions.perplexity);
    QCOMPARE(again->figures.predictions.divergences, first->figures.predictions.divergences);
    QCOMPARE(again->figures.hiddenErrors, first->figures.hiddenErrors);
    const auto* figures = m_window->findChild<QDockWidget*>("output")->findChild<FigureList*>();
    QVERIFY(figures && !figures->findItems("evaluation.txt", Qt::MatchExactly).isEmpty());
    actionNamed("Clear kept results")->trigger();
    QVERIFY(keptEvaluations().isEmpty());
}

void TestKept::evaluationComesBackWithItsRecipe()
{
    const quern::Recipe fine {.name = {}, .preset = quern::findPreset("Q8_0"), .rules = {}};
    openAndWait(demoPath());
    Session* session = m_window->session();
    const quern::Recipe coarse = session->recipe();
    evaluateAndWait(shortRun());
    session->setRecipe(fine);
    evaluateAndWait(shortRun());
    QCOMPARE(session->evaluation()->recipe, QString("Q8_0"));
    session->setRecipe(coarse);
    QVERIFY(!session->evaluationIsCurrent());
    QTRY_VERIFY_WITH_TIMEOUT(session->evaluationIsCurrent(), kLong);
    QCOMPARE(session->evaluation()->recipe, QString("Q4_0"));
}

void TestKept::evaluationIsKeptByContent()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    session->setRecipe(oneTensor());
    const auto kept = [&](std::shared_ptr<const quern::Calibration> calibration) {
        return kept::evaluation(*session->model(), *session->plan(), {std::move(calibration), nullptr},
                                m_settings->cacheFolder());
    };
    TextRun run = shortRun();
    evaluateAndWait(run);
    const auto calibration = std::make_shared<quern::Calibration>();
    quern::InputStats& inputs = calibration->inputs["blk.0.ffn_down.weight"];
    inputs.sumSquares = Eigen::MatrixXd::Ones(1, session->model()->find("blk.0.ffn_down.weight")->cols());
    inputs.counts = {1};
    QVERIFY(kept(nullptr) && !kept(calibration));
    // The same text is not read again: what the file says is shown.
    quern::Evaluation marked = *kept(nullptr);
    marked.text = "from the file";
    quern::writeEvaluation(marked, nativePath(keptEvaluations().front()), true);
    run.title = "another name";
    evaluateAndWait(run);
    QCOMPARE(session->evaluation()->figures.text, std::string("from the file"));
    // Another part of it is, and the newest comes back.
    run.most = 3;
    evaluateAndWait(run);
    QCOMPARE(keptEvaluations().size(), 2);
    QCOMPARE(kept(nullptr)->chunks, 3L);
    // A damaged file is none, and goes.
    QVERIFY(QFile::resize(keptEvaluations().front(), 100));
    QCOMPARE(kept(nullptr)->chunks, 2L);
    QCOMPARE(keptEvaluations().size(), 1);
    QVERIFY(QFile::resize(keptEvaluations().front(), 100));
    evaluateAndWait(shortRun());
    QCOMPARE(session->evaluation()->figures.text, std::string("evaluation.txt"));
    QCOMPARE(kept(nullptr)->chunks, 2L);
}

void TestKept::evaluationThatCannotBeKeptIsShown()
{
    openAndWait(demoPath());
    m_window->session()->setRecipe(oneTensor());
    evaluateAndWait(shortRun());
    const QString path = keptEvaluations().front();
    QVERIFY(QFile::remove(path) && QDir().mkpath(path)); // a folder in its place
    evaluateAndWait(shortRun());
    QVERIFY(m_window->session()->evaluationIsCurrent());
    QVERIFY2(m_window->statusBar()->currentMessage().contains("cannot be kept"),
             qPrintable(m_window->statusBar()->currentMessage()));
}

// They change the weights of a model that is stored as it is: both are run.
void TestKept::rewritesAloneAreEvaluated()
{
    openAndWait(demoPath());
    Session* session = m_window->session();
    QSignalSpy changed(session, &Session::calibrationChanged);
    m_window->calibrate(shortRun(), {});
    QVERIFY(changed.wait(kLong));
    session->setRecipe({});
    evaluateAndWait(shortRun());
    QVERIFY(!session->evaluation()->figures.predictions.compared);
    session->setRecipe({.name = {}, .preset = nullptr, .rewrites = {{quern::findRewrite("smoothquant"), {}}}});
    QVERIFY2(session->plan(), qPrintable(session->planError()));
    QVERIFY(!session->evaluationIsCurrent());
    evaluateAndWait(shortRun());
    QVERIFY(session->evaluation()->figures.predictions.compared);
    QVERIFY(session->evaluation()->figures.predictions.divergence.value > 0);
}

void TestKept::calibrationComesBack()
{
    openAndWait(demoPath());
    QSignalSpy changed(m_window->session(), &Session::calibrationChanged);
    m_window->calibrate(shortRun(), {});
    QVERIFY(changed.wait(kLong));
    const auto first = m_window->session()->calibration();
    show();
    openAndWait(demoPath());
    const auto again = m_window->session()->calibration();
    QVERIFY(again && again != first);
    QCOMPARE(again->find("blk.0.ffn_down.weight")->sumSquares, first->find("blk.0.ffn_down.weight")->sumSquares);
    QCOMPARE(again->datasets, first->datasets);
    actionNamed("Clear kept results")->trigger();
    openAndWait(demoPath());
    QVERIFY(!m_window->session()->calibration());
    QCOMPARE(cache::bytes(m_settings->cacheFolder()), 0);
}

void TestKept::cacheKeepsTheNewest()
{
    const QString folder = m_folder->filePath("kept");
    QVERIFY(QDir().mkpath(folder + "/a-interrupted"));
    const auto write = [](const QString& path, int bytes, int age) {
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(QByteArray(bytes, 'x'));
        file.flush(); // or closing would write, and set the time, once more
        file.setFileTime(QDateTime::currentDateTime().addSecs(-age), QFileDevice::FileModificationTime);
    };
    write(folder + "/a-1", 100, 40);
    write(folder + "/a-2", 100, 30);
    write(folder + "/b-3", 100, 20);
    QCOMPARE(cache::bytes(folder), 300);
    QCOMPARE(cache::newest(folder, "a-"), (QStringList {folder + "/a-2", folder + "/a-1"}));
    cache::touch(folder + "/a-1");
    QCOMPARE(cache::newest(folder, "a-").front(), folder + "/a-1");
    cache::trim(folder, 250);
    QCOMPARE(QDir(folder).entryList(QDir::Files), (QStringList {"a-1", "b-3"}));
    cache::trim(folder, 50); // less than the newest takes
    QCOMPARE(QDir(folder).entryList(QDir::Files), (QStringList {"a-1"}));
    cache::clear(folder);
    QVERIFY(QDir(folder).isEmpty());
}

QTEST_MAIN(TestKept)
#include "tst_kept.moc"
