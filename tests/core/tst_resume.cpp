#include "core/error.h"
#include "tests/core/calibraterun.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

using namespace calibraterun;

// Calibrations that are interrupted, and taken up or not.
class ResumeTest final : public QObject {
    Q_OBJECT

    // In memory, where there is such a folder: every block is synced.
    QTemporaryDir m_folder {QFile::exists("/dev/shm") ? "/dev/shm/tst_calibrate-XXXXXX" : "tst_calibrate-XXXXXX"};
    Model m_model = sixBlocks();
    Chunks m_chunks = chunks(5, 24, tinygguf::kTokens);
    NoProgress m_progress;

    fs::path at(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }
    Calibration into(const char* name, const CalibrateOptions& options, Progress& progress) const
    {
        return calibrateInto(at(name), false, m_model, m_chunks, options, progress);
    }
    QString complaint(const char* name) const
    {
        NoProgress progress;
        try {
            into(name, {}, progress);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

private slots:
    void goesOnWhereItWasCancelled_data();
    void goesOnWhereItWasCancelled();
    void takesUpNothingElse_data();
    void takesUpNothingElse();
    void startsAnewWhereTheCheckpointIsDamaged_data();
    void startsAnewWhereTheCheckpointIsDamaged();
    void saysThatABlockIsDamaged();
    void refusesAFolderOfOthers();
    void refusesToWorkTwiceAtOnce();
};

void ResumeTest::goesOnWhereItWasCancelled_data()
{
    QTest::addColumn<QString>("stopAt");
    QTest::addColumn<int>("resumesAt");
    QTest::newRow("in the first block") << "blk.0" << 0;
    QTest::newRow("in the second block") << "blk.1" << 1;
    QTest::newRow("in the last block") << "blk.5" << 5;
    QTest::newRow("at the output") << "output" << 6;
}

void ResumeTest::goesOnWhereItWasCancelled()
{
    QFETCH(QString, stopAt);
    QFETCH(int, resumesAt);
    const CalibrateOptions options {.hessians = true, .processOutput = true, .datasets = {"text"}};
    if (!fs::exists(at("whole")))
        into("whole", options, m_progress);
    fs::remove(at("resumed"));

    Watcher stopped(stopAt.toStdString());
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("resumed", options, stopped));
    QVERIFY(!fs::exists(at("resumed")));
    QVERIFY(fs::exists(checkpointOf(at("resumed"))));

    Watcher going;
    long blocks = 0;
    CalibrateOptions counted = options;
    counted.blockDone = [&](const Calibration&) { ++blocks; };
    into("resumed", counted, going);
    QCOMPARE(blocks, 7L); // with the output
    for (int i = 0; i < 6; ++i) {
        const bool ran = std::ranges::find(going.steps, "blk." + std::to_string(i)) != going.steps.end();
        QCOMPARE(ran, i >= resumesAt);
    }
    QVERIFY(contents(at("resumed")) == contents(at("whole")));
    QVERIFY(!fs::exists(checkpointOf(at("resumed"))));
}

void ResumeTest::takesUpNothingElse_data()
{
    QTest::addColumn<QString>("change");
    for (const char* change : {"text", "context", "hessians", "output", "a weight", "metadata", "name"})
        QTest::newRow(change) << change;
}

void ResumeTest::takesUpNothingElse()
{
    QFETCH(QString, change);
    fs::remove_all(checkpointOf(at("other")));
    fs::remove(at("other"));
    Watcher stopped("blk.1");
    CalibrateOptions options {.datasets = {"text"}};
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("other", options, stopped));

    Model model = m_model;
    Chunks text = m_chunks;
    if (change == "text")
        text.tokens[77] ^= 1;
    if (change == "context")
        text.context = 12;
    options.hessians = change == "hessians";
    options.processOutput = change == "output";
    if (change == "name")
        options.datasets = {"tex"};
    if (change == "metadata")
        model.metadata.set("llama.rope.freq_base", 7000.0F);
    const auto changed = std::make_shared<modelmaker::Bytes>(model.tensors.back().bytes.size());
    std::ranges::copy(model.tensors.back().bytes, changed->bytes.begin());
    changed->bytes[1000] ^= std::byte {1};
    if (change == "a weight")
        model.tensors.back().bytes = changed->bytes;
    Watcher watcher("blk.0");
    QVERIFY_THROWS_EXCEPTION(Cancelled, calibrateInto(at("other"), false, model, text, options, watcher));
    QVERIFY(std::ranges::find(watcher.steps, "blk.0") != watcher.steps.end());
}

void ResumeTest::startsAnewWhereTheCheckpointIsDamaged_data()
{
    QTest::addColumn<QString>("file");
    for (const char* file : {"state", "hidden-0", "hidden-1"})
        QTest::newRow(file) << file;
}

void ResumeTest::startsAnewWhereTheCheckpointIsDamaged()
{
    QFETCH(QString, file);
    const fs::path folder = checkpointOf(at("damaged"));
    fs::remove_all(folder);
    fs::remove(at("damaged"));
    Watcher stopped("blk.4");
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("damaged", {}, stopped));
    const fs::path path = folder / file.toStdString();
    fs::resize_file(path, fs::file_size(path) - 1);
    Watcher watcher;
    into("damaged", {}, watcher);
    // Of the two files of hidden states, the next block reads the one with an even number.
    const bool matters = file != "hidden-1";
    QCOMPARE(std::ranges::find(watcher.steps, "blk.0") != watcher.steps.end(), matters);
    if (!fs::exists(at("undamaged")))
        into("undamaged", {}, m_progress);
    QVERIFY(contents(at("damaged")) == contents(at("undamaged")));
}

void ResumeTest::saysThatABlockIsDamaged()
{
    Watcher stopped("blk.4");
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("cut", {}, stopped));
    const fs::path path = checkpointOf(at("cut")) / "block-1.gguf";
    fs::resize_file(path, fs::file_size(path) - 1);
    const QString said = complaint("cut");
    QVERIFY2(said.contains("remove the folder") && said.contains("block-1.gguf"), qPrintable(said));
}

void ResumeTest::refusesAFolderOfOthers()
{
    const fs::path folder = checkpointOf(at("taken"));
    fs::create_directory(folder);
    std::ofstream(folder / "thesis.tex") << "years of work";
    const QString said = complaint("taken");
    QVERIFY2(said.contains("thesis.tex"), qPrintable(said));
    QVERIFY(fs::exists(folder / "thesis.tex"));
}

void ResumeTest::refusesToWorkTwiceAtOnce()
{
    QString said;
    CalibrateOptions options;
    options.blockDone = [&](const Calibration&) {
        if (said.isEmpty())
            said = complaint("twice");
    };
    into("twice", options, m_progress);
    QVERIFY2(said.contains("Another calibration"), qPrintable(said));
    QVERIFY2(complaint("twice").contains("exists already"), qPrintable(complaint("twice")));
}

QTEST_GUILESS_MAIN(ResumeTest)
#include "tst_resume.moc"
