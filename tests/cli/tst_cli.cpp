#include "core/modelmaker.h"

#include "core/gguf.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>

#include <nlohmann/json.hpp>

#include <csignal>

using Json = nlohmann::json;

// Shows both where they differ.
#define COMPARE_JSON(actual, expected) QCOMPARE(Json(actual).dump().c_str(), Json(expected).dump().c_str())

namespace {

struct Outcome {
    int status = -1;
    QByteArray out, err;
    Json json() const { return Json::parse(out.toStdString()); }
};

Outcome run(const QStringList& arguments)
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("DISPLAY");
    environment.insert("LC_ALL", "de_DE.UTF-8"); // numbers are to be written with a point all the same
    process.setProcessEnvironment(environment);
    process.start(QUERN_BIN_DIR "/quern-cli", arguments);
    if (!process.waitForFinished(120'000) || process.exitStatus() != QProcess::NormalExit)
        return {};
    return {process.exitCode(), process.readAllStandardOutput(), process.readAllStandardError()};
}

// A llama of two layers with weights, as a GGUF file.
void writeSmallModel(const QString& path, bool withNan = false)
{
    quern::Model outline = modelmaker::llama(
        {.layers = 2, .width = 256, .hidden = 512, .keyWidth = 128, .vocabulary = 320, .heads = 8, .keyHeads = 4});
    quern::Model model;
    model.metadata = outline.metadata;
    std::uint64_t seed = 0;
    for (const quern::Tensor& tensor : outline.tensors) {
        auto weights = modelmaker::normalWeights(static_cast<std::size_t>(tensor.count()), ++seed);
        if (withNan && tensor.name == "blk.1.attn_q.weight")
            weights[5] = weights[700] = std::numeric_limits<float>::quiet_NaN();
        modelmaker::add(model, tensor.name, tensor.shape, weights, tensor.shape.size() == 1 ? "F32" : "BF16");
    }
    quern::NoProgress progress;
    quern::writeModel(model, path.toStdString(), false, progress);
}

void write(const QString& path, const char* text)
{
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(text);
}

} // namespace

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
    void quantizesAsPlanned_data();
    void quantizesAsPlanned();
    void comparesWithTheOriginal();
    void dryRunNeedsNoEncoder();
    void appliesRulesInOrder();
    void exportsOwnFormatsThroughCarriers();
    void readsRecipes();
    void tellsOfProgressInLines();
    void stopsOnInterrupt();
    void refusesNonFiniteWeightsUnlessTold();
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
    QTest::addRow("unknown command") << QStringList {"calibrate", "x"};
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
    QVERIFY(!all.out.contains("calibrate"));
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

void TestCli::quantizesAsPlanned_data()
{
    QTest::addColumn<QString>("preset");
    for (const char* preset : {"Q8_0", "Q4_0", "Q4_K_M", "F16", "COPY"})
        QTest::addRow("%s", preset) << preset;
}

void TestCli::quantizesAsPlanned()
{
    QFETCH(QString, preset);
    const QStringList arguments {"quantize", m_model, "--preset", preset, "-o", m_out, "--json"};
    const Outcome dry = run(QStringList(arguments) << "--dry-run");
    QCOMPARE(dry.status, 0);
    QVERIFY(!QFile::exists(m_out));
    const Outcome outcome = run(arguments);
    QVERIFY2(outcome.status == 0, outcome.err.constData());
    const Json plan = dry.json(), result = outcome.json();
    QCOMPARE(plan["bytes"].get<qint64>(), QFileInfo(m_out).size());
    COMPARE_JSON(result["bytes"], plan["bytes"]);
    COMPARE_JSON(result["bits_per_weight"], plan["bits_per_weight"]);
    QCOMPARE(result["tensors"].size(), plan["tensors"].size());
    QVERIFY(result.contains("seconds") && !plan.contains("seconds"));
    COMPARE_JSON(result["output"], m_out.toStdString());
    const Json written = run({"info", m_out, "--json"}).json();
    for (std::size_t i = 0; i < plan["tensors"].size(); ++i) {
        const Json& tensor = result["tensors"][i];
        COMPARE_JSON(written["tensors"][i]["format"], plan["tensors"][i]["stored_as"]);
        COMPARE_JSON(written["tensors"][i]["bytes"], plan["tensors"][i]["bytes"]);
        const double error = tensor["rel_rmse"].get<double>();
        QVERIFY(tensor["method"] == "copy" ? error == 0 : error > 0 && error < 0.12);
    }
    QVERIFY(run(arguments).status == 1); // it exists
    QVERIFY(run(QStringList(arguments) << "--overwrite").status == 0);
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

void TestCli::dryRunNeedsNoEncoder()
{
    const Outcome dry = run({"quantize", m_model, "--preset", "IQ1_S", "--dry-run", "--json"});
    QCOMPARE(dry.status, 0);
    QVERIFY(dry.json()["bits_per_weight"].get<double>() < 4);
    QVERIFY(dry.json()["warnings"].dump().find("importance") != std::string::npos);
}

void TestCli::appliesRulesInOrder()
{
    const Outcome outcome
        = run({"quantize", m_model, "--preset", "Q4_0", "--rule", "blk.*.ffn_down.weight=Q8_0", "--rule",
               "blk.0.*=Q5_0:nearest", "--rule", "/attn_[qk]/=copy", "--dry-run", "--json"});
    QVERIFY2(outcome.status == 0, outcome.err.constData());
    std::map<std::string, std::string> formats;
    const Json plan = outcome.json();
    for (const Json& tensor : plan["tensors"])
        formats[tensor["name"]] = tensor["format"];
    COMPARE_JSON(formats["blk.0.ffn_down.weight"], "Q5_0");
    COMPARE_JSON(formats["blk.1.ffn_down.weight"], "Q8_0");
    COMPARE_JSON(formats["blk.1.ffn_up.weight"], "Q4_0");
    COMPARE_JSON(formats["blk.1.attn_q.weight"], "BF16");
    QCOMPARE(formats["blk.0.attn_norm.weight"], "F32"); // vectors are out of reach of wildcards
}

void TestCli::exportsOwnFormatsThroughCarriers()
{
    const quern::BlockFormat* own = nullptr;
    for (const quern::BlockFormat* format : quern::blockFormats())
        if (!format->inGguf() && format->affine.bits == 4 && format->encode && format->values == 128 && format->carrier)
            own = format;
    if (!own)
        QSKIP("This build has no affine format of 4 bits in groups of 128.");
    const QString name = QString::fromUtf8(own->name.data(), static_cast<int>(own->name.size()));
    const Json result = run({"quantize", m_model, "--format", name, "-o", m_out, "--json"}).json();
    QVERIFY(result["method_bits_per_weight"] < result["bits_per_weight"]);
    QCOMPARE(result["bytes"].get<qint64>(), QFileInfo(m_out).size());
    for (const Json& tensor : result["tensors"])
        if (tensor["method"] != "copy") {
            COMPARE_JSON(tensor["format"], own->name);
            COMPARE_JSON(tensor["stored_as"], own->carrier->name);
        }
}

void TestCli::readsRecipes()
{
    write(at("r.json"), R"({"quern_recipe":1,"preset":"Q4_0","rules":[{"match":"output.weight","format":"Q8_0"}]})");
    const Json shown = run({"recipe", "show", at("r.json"), m_model, "--json"}).json();
    const Json done = run({"quantize", m_model, "--recipe", at("r.json"), "-o", m_out, "--json"}).json();
    COMPARE_JSON(shown["bytes"], done["bytes"]);
    COMPARE_JSON(shown["preset"], "Q4_0");
    QCOMPARE(run({"recipe", "check", at("r.json")}).status, 0);
    write(at("bad.json"), R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q8_0","colour":"red"}]})");
    const Outcome bad = run({"recipe", "check", at("bad.json")});
    QCOMPARE(bad.status, 1);
    QVERIFY2(bad.err.contains("rules[0]") && bad.err.contains("colour"), bad.err.constData());
}

void TestCli::tellsOfProgressInLines()
{
    const Outcome outcome = run({"quantize", m_model, "--preset", "Q8_0", "-o", m_out, "--progress", "--json"});
    QCOMPARE(outcome.status, 0);
    double last = -1;
    for (const QByteArray& line : outcome.err.trimmed().split('\n')) {
        const Json progress = Json::parse(line.toStdString());
        QVERIFY(progress["fraction"].get<double>() >= last && progress["step"].is_string());
        last = progress["fraction"];
    }
    QCOMPARE(last, 1.0);
    QVERIFY(outcome.json().is_object());
}

void TestCli::stopsOnInterrupt()
{
    quern::Model model;
    modelmaker::add(model, "blk.0.ffn_up.weight", {2000, 4096}, modelmaker::normalWeights(2000 * 4096, 1), "BF16");
    quern::NoProgress progress;
    quern::writeModel(model, at("large.gguf").toStdString(), true, progress);
    QProcess process;
    process.start(QUERN_BIN_DIR "/quern-cli",
                  {"quantize", at("large.gguf"), "-o", m_out, "--format", "Q4_K", "--progress", "--threads", "1"});
    process.setReadChannel(QProcess::StandardError);
    while (!process.canReadLine())
        QVERIFY(process.waitForReadyRead(60'000));
    ::kill(static_cast<pid_t>(process.processId()), SIGINT);
    QVERIFY(process.waitForFinished(60'000));
    QCOMPARE(process.exitStatus(), QProcess::NormalExit);
    QCOMPARE(process.exitCode(), 130);
    QVERIFY(!QFile::exists(m_out));
    QVERIFY(QDir(m_folder.path()).entryList({"*.part*"}).isEmpty());
}

void TestCli::refusesNonFiniteWeightsUnlessTold()
{
    const QString broken = at("broken.gguf");
    writeSmallModel(broken, true);
    const QStringList arguments {"quantize", broken, "-o", m_out, "--preset", "Q8_0", "--json"};
    const Outcome refused = run(arguments);
    QCOMPARE(refused.status, 1);
    QVERIFY2(refused.err.contains("blk.1.attn_q.weight") && refused.err.contains(" 2 "), refused.err.constData());
    QVERIFY(!QFile::exists(m_out));
    const Outcome forced = run(QStringList(arguments) << "--zero-nonfinite");
    QVERIFY2(forced.status == 0, forced.err.constData());
    std::uint64_t zeroed = 0;
    const Json result = forced.json();
    for (const Json& tensor : result["tensors"])
        zeroed += tensor["zeroed"].get<std::uint64_t>();
    QCOMPARE(zeroed, std::uint64_t {2});
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
