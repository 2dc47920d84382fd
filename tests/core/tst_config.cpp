#include "core/config.h"
#include "core/error.h"

#include <QTest>

using quern::Config;
using Ask = void (*)(const Config&);
Q_DECLARE_METATYPE(Ask)

class ConfigTest final : public QObject {
    Q_OBJECT

private slots:
    void answersWhatTheFileSays();
    void namesWhatIsWrong_data();
    void namesWhatIsWrong();
    void refusesWhatIsNoJson_data();
    void refusesWhatIsNoJson();
};

void ConfigTest::answersWhatTheFileSays()
{
    const Config config = Config::fromJson(
        R"({"layers": 2, "eps": 1e-5, "tied": true, "type": "llama", "none": null, "eos": [1, 2], "one": 3,
            "scaling": {"factor": 8, "short": [1.0, 2]}, "architectures": ["A", "B"]})",
        "config.json");
    QVERIFY(config.has("layers") && !config.has("none") && !config.has("absent"));
    QCOMPARE(config.integer("layers"), 2);
    QCOMPARE(config.integer("absent", 7), 7);
    QCOMPARE(config.integer("none", 7), 7);
    QCOMPARE(config.number("eps"), 1e-5);
    QCOMPARE(config.number("layers"), 2.0);
    QCOMPARE(config.flag("tied"), true);
    QCOMPARE(config.flag("absent", true), true);
    QVERIFY(config.text("type") == "llama");
    QVERIFY(config.text("absent", "x") == "x");
    QVERIFY((config.integers("eos") == std::vector<std::int64_t> {1, 2}));
    QVERIFY((config.integers("one") == std::vector<std::int64_t> {3}));
    QVERIFY((config.texts("architectures") == std::vector<std::string> {"A", "B"}));
    QCOMPARE(config.object("scaling").number("factor"), 8.0);
    QVERIFY((config.object("scaling").numbers("short") == std::vector {1.0, 2.0}));
    QVERIFY((config.object("scaling").keys() == std::vector<std::string> {"factor", "short"}));
}

void ConfigTest::namesWhatIsWrong_data()
{

    QTest::addColumn<Ask>("ask");
    QTest::addColumn<QStringList>("says");
    const auto row = [](const char* name, Ask ask, const QStringList& says) { QTest::newRow(name) << ask << says; };
    row("absent", [](const Config& c) { c.integer("hidden_size"); }, {"no entry \"hidden_size\"", "a whole number"});
    row("text for a number", [](const Config& c) { c.integer("text"); }, {"\"text\"", "\"x\"", "a whole number"});
    row("fraction for a whole number", [](const Config& c) { c.integer("half"); }, {"\"half\"", "0.5"});
    row("beyond 64 bits", [](const Config& c) { c.integer("huge"); }, {"\"huge\"", "18446744073709551615"});
    row("zero where there must be some", [](const Config& c) { c.positive("zero"); },
        {"\"zero\"", "is 0", "at least 1"});
    row("null", [](const Config& c) { c.text("null"); }, {"no entry \"null\""});
    row("number for a flag", [](const Config& c) { c.flag("zero"); }, {"\"zero\"", "true or false"});
    row("within an object", [](const Config& c) { c.object("inner").number("a"); }, {"\"inner.a\"", "a number"});
    row("text for an object", [](const Config& c) { c.object("text"); }, {"\"text\"", "an object"});
    row("mixed list", [](const Config& c) { c.integers("mixed"); }, {"\"mixed\"", "[1,\"a\"]"});
    row("list of numbers for texts", [](const Config& c) { c.texts("mixed"); }, {"\"mixed\"", "list of texts"});
}

void ConfigTest::namesWhatIsWrong()
{
    QFETCH(Ask, ask);
    QFETCH(QStringList, says);
    const Config config = Config::fromJson(
        R"({"text": "x", "half": 0.5, "huge": 18446744073709551615, "zero": 0, "null": null, "inner": {"a": "b"},
            "mixed": [1, "a"]})",
        "folder/config.json");
    try {
        ask(config);
        QFAIL("no error");
    } catch (const quern::Error& error) {
        QVERIFY2(QString(error.what()).contains("folder/config.json"), error.what());
        for (const QString& part : says)
            QVERIFY2(QString(error.what()).contains(part), error.what());
    }
}

void ConfigTest::refusesWhatIsNoJson_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QString>("says");
    QTest::newRow("empty") << QByteArray("") << "byte 1";
    QTest::newRow("broken") << QByteArray("{broken") << "byte 2";
    QTest::newRow("cut") << QByteArray("{\"a\": 1") << "byte 8";
    QTest::newRow("a list") << QByteArray("[1]") << "no JSON object";
    QTest::newRow("two values") << QByteArray("{} {}") << "byte 4";
    QTest::newRow("not UTF-8") << QByteArray("{\"\xff\": 1}") << "byte 3";
    QTest::newRow("a number beyond all") << QByteArray("{\"a\": 1e999}") << "too large";
    QTest::newRow("deep") << QByteArray("{\"a\":").repeated(100000) << "nested more than";
    QTest::newRow("deep lists") << QByteArray("[").repeated(100000) << "nested more than";
}

void ConfigTest::refusesWhatIsNoJson()
{
    QFETCH(QByteArray, text);
    QFETCH(QString, says);
    try {
        Config::fromJson(text.toStdString(), "config.json");
        QFAIL("no error");
    } catch (const quern::Error& error) {
        QVERIFY2(QString(error.what()).contains(says), error.what());
        QVERIFY2(QString(error.what()).contains("config.json"), error.what());
    }
}

QTEST_GUILESS_MAIN(ConfigTest)
#include "tst_config.moc"
