#include "tests/cli/program.h"

#include <QRegularExpression>

using cli::Json, cli::Outcome, cli::run, cli::write, cli::writeSmallModel;

class TestCli : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    QString m_model, m_out;

    QString at(const char* name) const { return m_folder.filePath(name); }

private slots:
    void initTestCase();
    void cleanup();
    void refusesWrongUsage_data();
    void refusesWrongUsage();
    void helps();
    void saysWhatIsWrong_data();
    void saysWhatIsWrong();
    void describesAModel();
    void measuresWeights();
    void comparesWithTheOriginal();
    void listsTheCatalogue();
};

void TestCli::initTestCase()
{
    m_model = at("model.gguf");
    m_out = at("out.gguf");
    writeSmallModel(m_model);
}

void TestCli::cleanup()
{
    QFile::remove(m_out);
}

void TestCli::refusesWrongUsage_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addRow("nothing") << QStringList {};
    QTest::addRow("unknown command") << QStringList {"frobnicate", "x"};
    QTest::addRow("unknown option") << QStringList {"info", "x", "--frobnicate"};
    QTest::addRow("not yet an option") << QStringList {"quantize", "x", "-o", "y", "--target-bpw", "4"};
    QTest::addRow("no model") << QStringList {"info"};
    QTest::addRow("two models") << QStringList {"info", "a", "b"};
    QTest::addRow("value missing") << QStringList {"stats", "a", "--bins"};
    QTest::addRow("no number") << QStringList {"stats", "a", "--bins", "many"};
    QTest::addRow("number too small") << QStringList {"stats", "a", "--bins=0"};
    QTest::addRow("threads") << QStringList {"stats", "a", "--threads", "0"};
    QTest::addRow("flag with value") << QStringList {"info", "a", "--json=yes"};
    QTest::addRow("twice") << QStringList {"stats", "a", "--bins", "3", "--bins", "4"};
    QTest::addRow("no output") << QStringList {"quantize", "a", "--preset", "Q8_0"};
    QTest::addRow("nothing to do") << QStringList {"quantize", "a", "-o", "b"};
    QTest::addRow("two ways") << QStringList {"quantize", "a", "-o", "b", "--preset", "Q8_0", "--format", "Q8_0"};
    QTest::addRow("rule") << QStringList {"quantize", "a", "-o", "b", "--rule", "blk"};
    QTest::addRow("set") << QStringList {"quantize", "a", "-o", "b", "--format", "Q8_0", "--set", "x"};
    QTest::addRow("set without format") << QStringList {"quantize", "a", "-o", "b", "--preset", "Q8_0", "--set", "x=1"};
    QTest::addRow("recipe") << QStringList {"recipe", "bake", "r.json"};
}

void TestCli::refusesWrongUsage()
{
    QFETCH(QStringList, arguments);
    const Outcome outcome = run(arguments);
    QCOMPARE(outcome.status, 2);
    QVERIFY(outcome.out.isEmpty());
    QVERIFY(outcome.err.startsWith("quern-cli: "));
}

void TestCli::helps()
{
    const Outcome all = run({"--help"});
    QCOMPARE(all.status, 0);
    for (const char* command :
         {"info", "stats", "quantize", "compare", "recipe", "formats", "methods", "architectures"}) {
        QVERIFY2(all.out.contains(command), command);
        const Outcome one = run({command, "--help"});
        QCOMPARE(one.status, 0);
        QVERIFY(one.out.contains("--threads"));
    }
    QVERIFY(run({"--version"}).out.startsWith("quern-cli "));
}

void TestCli::saysWhatIsWrong_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("says");
    QTest::addRow("no file") << QStringList {"info", "/nowhere/m.gguf"} << "/nowhere/m.gguf";
    QTest::addRow("no model") << QStringList {"info", "NOTE"} << "GGUF";
    QTest::addRow("preset") << QStringList {"quantize", "MODEL", "-o", "OUT", "--preset", "Q4_Z"} << "Q4_Z";
    QTest::addRow("format") << QStringList {"quantize", "MODEL", "-o", "OUT", "--format", "Q4_Z"} << "Q4_Z";
    QTest::addRow("method") << QStringList {"quantize", "MODEL", "-o", "OUT", "--format", "Q4_0", "--method", "magic"}
                            << "magic";
    QTest::addRow("setting") << QStringList {"quantize", "MODEL", "-o", "OUT", "--format", "Q4_0", "--set", "x=1"}
                             << "x";
    QTest::addRow("pattern") << QStringList {"stats", "MODEL", "--tensor", "/(/"} << "/(/";
    QTest::addRow("no such tensor") << QStringList {"stats", "MODEL", "--tensor", "blk.77.*"} << "blk.77.*";
    QTest::addRow("no such folder") << QStringList {"quantize", "MODEL", "-o", "/nowhere/x.gguf", "--preset", "Q8_0"}
                                    << "/nowhere";
    QTest::addRow("itself") << QStringList {"quantize", "MODEL", "-o", "MODEL", "--preset", "Q8_0"} << "original";
    QTest::addRow("recipe") << QStringList {"recipe", "check", "NOTE"} << "JSON";
    QTest::addRow("imatrix") << QStringList {"quantize", "MODEL", "-o", "OUT", "--preset", "Q8_0", "--imatrix", "NOTE"}
                             << "NOTE";
}

void TestCli::saysWhatIsWrong()
{
    QFETCH(QStringList, arguments);
    QFETCH(QString, says);
    write(at("NOTE"), "no model, just a note to the reader of this file\n");
    arguments.replaceInStrings(QRegularExpression("^MODEL$"), m_model);
    arguments.replaceInStrings(QRegularExpression("^OUT$"), m_out);
    arguments.replaceInStrings(QRegularExpression("^NOTE$"), at("NOTE"));
    const Outcome outcome = run(arguments);
    QCOMPARE(outcome.status, 1);
    QVERIFY2(QString::fromUtf8(outcome.err).contains(says), outcome.err.constData());
    QVERIFY(outcome.out.isEmpty());
    QVERIFY(!QFile::exists(m_out));
}

void TestCli::describesAModel()
{
    const Outcome outcome = run({"info", m_model, "--json"});
    QCOMPARE(outcome.status, 0);
    const Json info = outcome.json();
    COMPARE_JSON(info["container"], "GGUF");
    COMPARE_JSON(info["architecture"], "llama");
    QCOMPARE(info["bytes"].get<qint64>(), QFileInfo(m_model).size());
    COMPARE_JSON(info["metadata"]["llama.block_count"], 2);
    COMPARE_JSON(info["warnings"], Json::array());
    QCOMPARE(info["tensors"].size(), std::size_t {21});
    const Json& first = info["tensors"][0];
    COMPARE_JSON(first["name"], "token_embd.weight");
    COMPARE_JSON(first["shape"], Json({320, 256}));
    COMPARE_JSON(first["format"], "BF16");
    COMPARE_JSON(first["bytes"], 320 * 256 * 2);
    std::uint64_t parameters = 0;
    for (const Json& tensor : info["tensors"])
        parameters += tensor["shape"].size() == 1
            ? tensor["shape"][0].get<std::uint64_t>()
            : tensor["shape"][0].get<std::uint64_t>() * tensor["shape"][1].get<std::uint64_t>();
    QCOMPARE(info["parameters"].get<std::uint64_t>(), parameters);
    const Outcome text = run({"info", m_model});
    QCOMPARE(text.status, 0);
    QVERIFY(text.out.contains("blk.1.ffn_down.weight"));
}

void TestCli::measuresWeights()
{
    const Outcome outcome
        = run({"stats", m_model, "--json", "--tensor", "blk.*.attn_q.weight", "--bins", "64", "--threads", "2"});
    QCOMPARE(outcome.status, 0);
    const Json stats = outcome.json();
    QCOMPARE(stats["tensors"].size(), std::size_t {2});
    for (const char* key : {"name", "shape", "format", "bytes", "min", "max", "mean", "std", "skewness", "kurtosis",
                            "absmax", "zeros", "nonfinite", "outliers", "histogram", "centre", "top_channels"})
        QVERIFY2(stats["tensors"][0].contains(key), key);
    const Json& histogram = stats["tensors"][0]["histogram"];
    QCOMPARE(histogram["counts"].size(), std::size_t {64});
    std::uint64_t sum = 0;
    for (const Json& count : histogram["counts"])
        sum += count.get<std::uint64_t>();
    QCOMPARE(sum, std::uint64_t {256 * 256});
    COMPARE_JSON(histogram["low"], stats["tensors"][0]["min"]);
    QVERIFY(std::abs(stats["tensors"][0]["std"].get<double>() - 0.02) < 0.001);
    QVERIFY(run({"stats", m_model, "--tensor", "output.weight"}).out.contains("largest input channels"));
}

void TestCli::comparesWithTheOriginal()
{
    const Json quantized = run({"quantize", m_model, "--preset", "Q4_0", "-o", m_out, "--json"}).json();
    const Outcome outcome = run({"compare", m_model, m_out, "--json"});
    QCOMPARE(outcome.status, 0);
    const Json comparison = outcome.json();
    QCOMPARE(comparison["tensors"].size(), std::size_t {21});
    for (std::size_t i = 0; i < 21; ++i) {
        const Json& tensor = comparison["tensors"][i];
        const double told = quantized["tensors"][i]["rel_rmse"].get<double>();
        QVERIFY(std::abs(tensor["rel_rmse"].get<double>() - told) <= 1e-9 * (1 + told));
        QVERIFY(tensor["cosine"].get<double>() > 0.99);
        QVERIFY(tensor.contains("bits_per_weight") && tensor.contains("sqnr_db") && tensor.contains("max_abs_error"));
    }
    QVERIFY(run({"compare", m_model, m_out}).status == 0);
}

void TestCli::listsTheCatalogue()
{
    const Json formats = run({"formats", "--json"}).json();
    QCOMPARE(formats["formats"].size(), quern::blockFormats().size());
    COMPARE_JSON(formats["formats"][0]["name"], "F32");
    QVERIFY(formats["presets"].size() > 30);
    QVERIFY(!run({"methods", "--json"}).json()["methods"].empty());
    QVERIFY(run({"architectures", "--json"}).json().contains("architectures"));
    for (const char* command : {"formats", "methods", "architectures"})
        QCOMPARE(run({command}).status, 0);
}

QTEST_GUILESS_MAIN(TestCli)
#include "tst_cli.moc"
