#include "tests/cli/program.h"

#include <fstream>

using cli::Outcome, cli::run;

// quern-cli tokens on the demo model, whose numbers llama.cpp gives, too (tst_tokenizer_llama).
class TokensTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    const QString m_model = QStringLiteral(QUERN_SOURCE_DIR "/resources/demo/demo");

    QString file(const std::string& text) const
    {
        QString path = m_folder.filePath("text");
        std::ofstream(path.toStdString(), std::ios::binary) << text;
        return path;
    }

private slots:
    void writesNumbers()
    {
        const QString text = file("The miller, 42 bags.\n");
        Outcome outcome = run({"tokens", m_model, "--text", text});
        QCOMPARE(outcome.status, 0);
        QCOMPARE(outcome.out, "1023 84 256 463 274 44 1012 269 97 103 115 46 10\n");
        outcome = run({"tokens", m_model, "--text", text, "--no-bos"});
        QCOMPARE(outcome.out, "84 256 463 274 44 1012 269 97 103 115 46 10\n");
        outcome = run({"tokens", m_model, "--text", text, "--count"});
        QCOMPARE(outcome.out, "13\n");
        QVERIFY(outcome.err.isEmpty());
    }

    void showsPieces()
    {
        const Outcome outcome = run({"tokens", m_model, "--text", "-", "--pieces"}, "the\n");
        QCOMPARE(outcome.out.left(outcome.out.indexOf('\n') + 1), "   1023  <|endoftext|>\n");
        QVERIFY2(outcome.out.endsWith("     10  \\x0a\n"), outcome.out.constData());
    }

    void writesJson()
    {
        Outcome outcome = run({"tokens", m_model, "--text", file("42"), "--json", "--pieces"});
        QCOMPARE(outcome.out,
                 R"({"count":3,"pieces":["<|endoftext|>","4","2"],"tokens":[1023,52,50],"warnings":[]})"
                 "\n");
        outcome = run({"tokens", m_model, "--text", file(""), "--json", "--pieces", "--no-bos"});
        QCOMPARE(outcome.out,
                 R"({"count":0,"pieces":[],"tokens":[],"warnings":[]})"
                 "\n");
        outcome = run({"tokens", m_model, "--text", file("42"), "--json", "--count"});
        QCOMPARE(outcome.out,
                 R"({"count":3,"warnings":[]})"
                 "\n");
    }

    void readsControlTokensIfAsked()
    {
        const QString text = file("<|endoftext|>");
        QCOMPARE(run({"tokens", m_model, "--text", text, "--no-bos", "--parse-special"}).out, "1023\n");
        QVERIFY(run({"tokens", m_model, "--text", text, "--no-bos", "--count"}).out.trimmed().toInt() > 1);
    }

    void givesTextBack()
    {
        const QByteArray text = "Grüße, 水 and flour:\r\n\t100 %";
        const Outcome there = run({"tokens", m_model, "--text", "-", "--no-bos"}, text);
        const Outcome back = run({"tokens", m_model, "--decode", "-"}, there.out);
        QCOMPARE(back.out, text);
        const Outcome json = run({"tokens", m_model, "--decode", file("[52, 50]"), "--json"});
        QCOMPARE(json.out,
                 R"({"text":"42","warnings":[]})"
                 "\n");
    }

    void saysWhatIsWrong_data()
    {
        QTest::addColumn<QStringList>("options");
        QTest::addColumn<int>("status");
        QTest::addColumn<QString>("says");
        QTest::addRow("no text") << QStringList {} << 2 << "one of --text and --decode";
        QTest::addRow("both") << QStringList {"--text", "-", "--decode", "-"} << 2 << "one of --text and --decode";
        QTest::addRow("absent") << QStringList {"--text", "/no/where"} << 1 << "The text /no/where cannot be read.";
        QTest::addRow("folder") << QStringList {"--text", "/"} << 1 << "/ is a folder; a text file is expected.";
        QTest::addRow("number") << QStringList {"--decode", file("1024")} << 1
                                << "There is no token 1024; the vocabulary has 1024.";
        QTest::addRow("minus") << QStringList {"--decode", "-"} << 1 << "-3 is no token";
        QTest::addRow("huge") << QStringList {"--decode", "-", "--json"} << 1 << "99999999999 is too large";
    }
    void saysWhatIsWrong()
    {
        QFETCH(QStringList, options);
        QFETCH(int, status);
        QFETCH(QString, says);
        const bool huge = options.contains("--json");
        const Outcome outcome = run(QStringList {"tokens", m_model} + options, huge ? "99999999999" : "-3");
        QCOMPARE(outcome.status, status);
        QVERIFY2(QString::fromUtf8(outcome.err).contains(says), outcome.err.constData());
        QVERIFY(outcome.out.isEmpty());
    }
};

QTEST_GUILESS_MAIN(TokensTest)
#include "tst_cli_tokens.moc"
