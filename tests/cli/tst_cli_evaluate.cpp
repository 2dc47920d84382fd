#include "cli/program.h"

#include <cmath>

using namespace cli;

namespace {

Json parsed(const Outcome& outcome)
{
    return outcome.status == 0 ? outcome.json() : Json();
}

} // namespace

// On the demo.
class TestCliEvaluate : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void printsPerplexity();
    void comparesWithAReference();
    void baseFilesGiveTheSame();
    void tellsWrongUsage_data();
    void tellsWrongUsage();
    void refusesShortTexts();

private:
    QTemporaryDir m_folder;
    QString m_quantized;
    const QString m_demo = QUERN_SOURCE_DIR "/resources/demo/demo";
    const QStringList m_text {"--text", m_demo + "/evaluation.txt", "--ctx", "64", "--chunks", "2"};
};

void TestCliEvaluate::initTestCase()
{
    m_quantized = m_folder.filePath("q.gguf");
    const Outcome made = run({"quantize", m_demo, "-o", m_quantized, "--preset", "Q3_K_S"});
    QVERIFY2(made.status == 0, made.err);
}

void TestCliEvaluate::printsPerplexity()
{
    const Outcome table
        = run({"evaluate", m_demo, "--text", m_demo + "/evaluation.txt", "--ctx", "64", "--chunks", "1"});
    QCOMPARE(table.status, 0);
    QVERIFY(table.out.contains("perplexity"));
    QVERIFY(!table.out.contains("KL divergence"));
    QVERIFY2(table.err.contains("1 chunk of 64 tokens") && !table.err.contains("warning"), table.err);
    const Json json = parsed(run(QStringList {"evaluate", m_demo, "--json"} + m_text));
    QCOMPARE(json["tokens"].get<int>(), 2 * 31);
    QVERIFY(json["perplexity"].get<double>() > 1);
    QVERIFY(std::abs(std::log(json["perplexity"].get<double>()) - json["ln_perplexity"].get<double>()) < 1e-12);
    QVERIFY(!json.contains("kld_mean"));
}

void TestCliEvaluate::comparesWithAReference()
{
    const QStringList arguments = QStringList {"evaluate", m_quantized, "--reference", m_demo} + m_text;
    const Json json = parsed(run(arguments + QStringList {"--json"}));
    QVERIFY(json["kld_mean"].get<double>() > 0);
    QVERIFY(json["kld_median"].get<double>() <= json["kld_p99"].get<double>());
    QVERIFY(json["kld_p99"].get<double>() <= json["kld_p999"].get<double>());
    QVERIFY(json["same_top_percent"].get<double>() > 50);
    QCOMPARE(json["hidden_errors"].size(), std::size_t {7});
    const Outcome table = run(arguments);
    for (const char* line : {"KL divergence", "median", "same most likely token", "after block 5"})
        QVERIFY2(table.out.contains(line), line);
}

void TestCliEvaluate::baseFilesGiveTheSame()
{
    const QString base = m_folder.filePath("base.kld");
    const Outcome written = run(QStringList {"evaluate", m_demo, "--write-base", base} + m_text);
    QVERIFY2(written.status == 0, written.err);
    const Json read = parsed(run({"evaluate", m_quantized, "--base", base, "--json"}));
    const Json direct = parsed(run(QStringList {"evaluate", m_quantized, "--reference", m_demo, "--json"} + m_text));
    COMPARE_JSON(read["perplexity"], direct["perplexity"]);
    QVERIFY(std::abs(read["kld_mean"].get<double>() - direct["kld_mean"].get<double>()) < 2e-5);
    const Outcome again = run(QStringList {"evaluate", m_demo, "--write-base", base} + m_text);
    QCOMPARE(again.status, 1);
    QVERIFY(again.err.contains("exists already"));
}

void TestCliEvaluate::tellsWrongUsage_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::newRow("no text") << QStringList {};
    QTest::newRow("text and base") << QStringList {"--text", "a", "--base", "b"};
    QTest::newRow("base and reference") << QStringList {"--base", "b", "--reference", "c"};
    QTest::newRow("base and context") << QStringList {"--base", "b", "--ctx", "64"};
    QTest::newRow("context too short") << QStringList {"--text", "a", "--ctx", "3"};
}

void TestCliEvaluate::tellsWrongUsage()
{
    QFETCH(QStringList, arguments);
    QCOMPARE(run(QStringList {"evaluate", m_demo} + arguments).status, 2);
}

void TestCliEvaluate::refusesShortTexts()
{
    const QString path = m_folder.filePath("short.txt");
    QFile file(path);
    QVERIFY(file.open(QFile::WriteOnly));
    file.write("Short.");
    file.close();
    const Outcome outcome = run({"evaluate", m_demo, "--text", path});
    QCOMPARE(outcome.status, 1);
    QVERIFY(outcome.err.contains("a chunk of 512 needs a longer text"));
    QCOMPARE(run({"evaluate", m_demo, "--text", m_folder.filePath("absent.txt")}).status, 1);
}

QTEST_GUILESS_MAIN(TestCliEvaluate)
#include "tst_cli_evaluate.moc"
