#include "tests/strict.h"
#include "widgets/job.h"
#include "widgets/jobqueue.h"
#include "widgets/pace.h"
#include "widgets/text.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QtTest>

using quern::Progress;

class TestJob : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void valuesArriveOnTheGuiThread();
    void errorsArrive();
    void errorsBecomeSentences();
    void replacedWorkDeliversNothing();
    void cancelledWorkEnds();
    void mayBeDestroyedWhileRunning();
    void queueRunsOneAfterTheOther();
    void queueHasRoomForFailure();
    void cancelledTaskMakesWayForTheNext();
    void paceForetellsTheEnd();
    void paceIsSilentAtFirst();
};

namespace {

void workUntilCancelled(Progress& progress)
{
    for (;;) {
        progress.check();
        QThread::msleep(1);
    }
}

} // namespace

void TestJob::valuesArriveOnTheGuiThread()
{
    Job job;
    QThread* worker = nullptr;
    int value = 0;
    job.start(
        [&](Progress&) {
            worker = QThread::currentThread();
            return 42;
        },
        [&](int result) {
            QCOMPARE(QThread::currentThread(), QCoreApplication::instance()->thread());
            value = result;
        });
    QVERIFY(job.running());
    QTRY_COMPARE(value, 42);
    QVERIFY(worker != QCoreApplication::instance()->thread());
    QVERIFY(!job.running());
}

void TestJob::errorsArrive()
{
    Job job;
    QString reason;
    connect(&job, &Job::failed, this, [&](const quern::Error& error) { reason = sentence(error); });
    job.start([](Progress&) -> int { quern::fail("Tensor %1 has %2 columns.", "x", 7); },
              [](int) { QFAIL("a failed job has no value"); });
    QTRY_COMPARE(reason, QString("Tensor x has 7 columns."));
    job.start([](Progress&) -> int { throw std::bad_alloc(); }, [](int) { QFAIL("a failed job has no value"); });
    QTRY_VERIFY(reason.contains("memory"));
}

void TestJob::errorsBecomeSentences()
{
    QCOMPARE(sentence(quern::Error("%2 and %1, %3.", {"%2", "b"})), QString("b and %2, %3."));
    QCOMPARE(durationText(59.6), QString("1 min 0 s"));
    QCOMPARE(durationText(3725), QString("1 h 2 min"));
}

void TestJob::replacedWorkDeliversNothing()
{
    Job job;
    QList<int> values;
    for (int i = 0; i < 5; ++i)
        job.start([i](Progress&) { return i; }, [&](int value) { values << value; });
    QTRY_VERIFY(!job.running());
    QCOMPARE(values, QList<int> {4});
}

void TestJob::cancelledWorkEnds()
{
    Job job;
    job.start([](Progress& progress) { workUntilCancelled(progress); }, [] { QFAIL("it was cancelled"); });
    QVERIFY(!job.wait(20));
    job.cancel();
    QVERIFY(!job.running());
    QVERIFY(job.wait(10000));
}

void TestJob::mayBeDestroyedWhileRunning()
{
    for (int i = 0; i < 20; ++i) {
        auto job = std::make_unique<Job>();
        job->start([](Progress& progress) { workUntilCancelled(progress); }, [] { QFAIL("nobody is there to hear"); });
        if (i % 2)
            QTest::qWait(1);
        job.reset();
    }
    QCoreApplication::processEvents();
}

void TestJob::queueRunsOneAfterTheOther()
{
    JobQueue queue;
    QAbstractItemModelTester tester(&queue, QAbstractItemModelTester::FailureReportingMode::QtTest);
    std::atomic<int> atWork = 0;
    QList<int> done;
    for (int i = 0; i < 4; ++i)
        queue.submit(
            QString("task %1").arg(i),
            [&, i](Progress& progress) {
                const int others = atWork++;
                progress.report(0.5, "half");
                QThread::msleep(5);
                --atWork;
                return others == 0 ? i : -1;
            },
            [&](int value) { done << value; });
    QCOMPARE(queue.rowCount(), 4);
    QTRY_VERIFY(!queue.busy());
    QCOMPARE(done, (QList<int> {0, 1, 2, 3}));
    QCOMPARE(queue.index(0, JobQueue::Title).data().toString(), QString("task 3"));
    QCOMPARE(queue.index(0, JobQueue::State).data().toString(), QString("done"));
}

void TestJob::queueHasRoomForFailure()
{
    JobQueue queue;
    QSignalSpy failed(&queue, &JobQueue::failed);
    bool second = false;
    queue.submit(
        "first", [](Progress&) -> int { quern::fail("The disk is full."); }, [](int) { QFAIL("no value"); });
    queue.submit(
        "second", [](Progress&) { return 0; }, [&](int) { second = true; });
    QTRY_VERIFY(second);
    QCOMPARE(failed.size(), 1);
    QCOMPARE(failed[0][0].toString(), QString("first"));
    QCOMPARE(queue.index(1, JobQueue::Step).data().toString(), QString("The disk is full."));
}

void TestJob::cancelledTaskMakesWayForTheNext()
{
    JobQueue queue;
    bool second = false;
    queue.submit(
        "endless", [](Progress& progress) { workUntilCancelled(progress); }, [] { QFAIL("it was cancelled"); });
    queue.submit(
        "second", [](Progress&) { return 0; }, [&](int) { second = true; });
    QVERIFY(queue.busy());
    queue.cancelCurrent();
    QTRY_VERIFY(second);
    QCOMPARE(queue.index(1, JobQueue::State).data().toString(), QString("cancelled"));
    queue.submit(
        "endless", [](Progress& progress) { workUntilCancelled(progress); }, [] { QFAIL("it was cancelled"); });
    queue.submit(
        "never", [](Progress&) { return 0; }, [](int) { QFAIL("it was cancelled while it waited"); });
    queue.cancelAll();
    QVERIFY(!queue.busy());
    QVERIFY(queue.wait(10000));
    QCoreApplication::processEvents();
}

void TestJob::paceForetellsTheEnd()
{
    Pace pace;
    pace.start(100);
    for (int i = 1; i <= 20; ++i)
        pace.report(0.02 * i, 100 + 0.5 * i); // 4 % a second
    QVERIFY(pace.remaining(110));
    QVERIFY(std::abs(*pace.remaining(110) - 15) < 1e-6);
    QVERIFY(std::abs(*pace.remaining(112) - 13) < 1e-6);
}

void TestJob::paceIsSilentAtFirst()
{
    Pace pace;
    pace.start(0);
    pace.report(0.5, 1);
    QVERIFY(!pace.remaining(1));
    QVERIFY(pace.remaining(2.5));
    pace.start(0);
    pace.report(0.01, 60);
    QVERIFY(!pace.remaining(61));
}

QTEST_GUILESS_MAIN(TestJob)
#include "tst_job.moc"
