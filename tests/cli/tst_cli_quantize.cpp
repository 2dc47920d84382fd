#include "tests/cli/program.h"
#include "tests/core/testfiles.h"

#include <QDir>

#include <csignal>

using cli::Json, cli::Outcome, cli::run, cli::write, cli::writeSmallModel;

// quern-cli quantize and recipe.
class TestCliQuantize : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    QString m_model, m_out;

    QString at(const char* name) const { return m_folder.filePath(name); }

private slots:
    void initTestCase();
    void cleanup();
    void quantizesAsPlanned_data();
    void quantizesAsPlanned();
    void dryRunNeedsNoEncoder();
    void appliesRulesInOrder();
    void exportsOwnFormatsThroughCarriers();
    void readsRecipes();
    void weighsExpertsByEitherImatrix();
    void tellsOfProgressInLines();
    void stopsOnInterrupt();
    void refusesNonFiniteWeightsUnlessTold();
    void refusesCoarseFormatsUnlessTold();
    void tellsOfExpertsWithoutTokens();
    void quantizesBlockByBlock();
};

void TestCliQuantize::initTestCase()
{
    m_model = at("model.gguf");
    m_out = at("out.gguf");
    writeSmallModel(m_model);
}

void TestCliQuantize::cleanup()
{
    QFile::remove(m_out);
}

void TestCliQuantize::quantizesAsPlanned_data()
{
    QTest::addColumn<QString>("preset");
    for (const char* preset : {"Q8_0", "Q4_0", "Q4_K_M", "F16", "COPY"})
        QTest::addRow("%s", preset) << preset;
}

void TestCliQuantize::quantizesAsPlanned()
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

void TestCliQuantize::dryRunNeedsNoEncoder()
{
    const Outcome dry = run({"quantize", m_model, "--preset", "IQ1_S", "--dry-run", "--json"});
    QCOMPARE(dry.status, 0);
    QVERIFY(dry.json()["bits_per_weight"].get<double>() < 4);
    QVERIFY(dry.json()["warnings"].dump().find("importance") != std::string::npos);
}

void TestCliQuantize::appliesRulesInOrder()
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

void TestCliQuantize::exportsOwnFormatsThroughCarriers()
{
    const quern::BlockFormat* own = nullptr;
    for (const quern::BlockFormat* format : quern::blockFormats())
        if (!format->inGguf() && format->affine.bits == 4 && format->encode && format->values == 128 && format->carrier)
            own = format;
    if (own == nullptr)
        QFAIL("the catalogue lacks the affine format of 4 bits in groups of 128");
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

void TestCliQuantize::readsRecipes()
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

// The legacy format has the experts' sums in one row, divided by their counts; the other has a row and a count for
// each.
void TestCliQuantize::weighsExpertsByEitherImatrix()
{
    constexpr std::size_t kExperts = 3, kRows = 16, kCols = 256;
    const std::vector<float> means = modelmaker::normalWeights(kExperts * kCols, 9, 1);
    quern::Model model, sums;
    modelmaker::add(model, "blk.0.ffn_up_exps.weight", {kExperts, kRows, kCols},
                    modelmaker::normalWeights(kExperts * kRows * kCols, 1));
    std::vector<float> squares(means.size());
    QByteArray legacy;
    const auto number = [&](std::int32_t n) { legacy.append(reinterpret_cast<const char*>(&n), sizeof n); };
    const QByteArray name = "blk.0.ffn_up_exps.weight";
    for (const auto n : {qsizetype {1}, name.size()})
        number(static_cast<std::int32_t>(n));
    legacy += name;
    for (const std::size_t n : {std::size_t {4}, means.size()}) // calls, values
        number(static_cast<std::int32_t>(n));
    for (std::size_t i = 0; i < means.size(); ++i) {
        const float mean = means[i] * means[i], times4 = 4 * mean;
        squares[i] = mean * static_cast<float>(std::size_t {2} << i / kCols); // the experts saw 2, 4 and 8 tokens
        legacy.append(reinterpret_cast<const char*>(&times4), sizeof times4);
    }
    modelmaker::add(sums, "blk.0.ffn_up_exps.weight.in_sum2", {kExperts, kCols}, squares);
    modelmaker::add(sums, "blk.0.ffn_up_exps.weight.counts", {kExperts, 1}, {2, 4, 8});
    QDir(m_folder.path()).mkpath("a");
    QDir(m_folder.path()).mkpath("b");
    quern::NoProgress progress;
    quern::writeModel(model, at("experts.gguf").toStdString(), true, progress);
    quern::writeModel(sums, at("a/imatrix").toStdString(), true, progress);
    testfiles::put(at("b/imatrix").toStdString(), {legacy.data(), static_cast<std::size_t>(legacy.size())});
    std::vector<std::string> made;
    for (const QStringList& imatrix :
         {QStringList {}, QStringList {"--imatrix", at("a/imatrix")}, QStringList {"--imatrix", at("b/imatrix")}}) {
        const Outcome outcome
            = run(QStringList {"quantize", at("experts.gguf"), "--format", "Q4_K", "-o", m_out, "--json", "--overwrite"}
                  + imatrix);
        QVERIFY2(outcome.status == 0, outcome.err.constData());
        QCOMPARE(outcome.json()["tensors"][0]["rho"].is_null(), imatrix.isEmpty());
        made.push_back(testfiles::contents(m_out.toStdString()));
    }
    const auto weights = [](const std::string& file) { return file.substr(file.size() - kExperts * kRows * 144); };
    QVERIFY(weights(made[1]) == weights(made[2]));
    QVERIFY(weights(made[0]) != weights(made[1]));
}

void TestCliQuantize::tellsOfProgressInLines()
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

void TestCliQuantize::stopsOnInterrupt()
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

void TestCliQuantize::refusesNonFiniteWeightsUnlessTold()
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

void TestCliQuantize::refusesCoarseFormatsUnlessTold()
{
    const QStringList arguments {"quantize", m_model, "-o", m_out, "--rule", "blk.0.ffn_down.weight=IQ2_XS"};
    const Outcome refused = run(arguments);
    QCOMPARE(refused.status, 1);
    QVERIFY2(refused.err.contains("blk.0.ffn_down.weight") && refused.err.contains("Calibrate"),
             refused.err.constData());
    QVERIFY(!QFile::exists(m_out));
    const Outcome forced = run(QStringList(arguments) << "--coarse");
    QVERIFY2(forced.status == 0 && forced.err.contains("importance"), forced.err.constData());
}

// Of three experts one saw no token and one hardly any.
void TestCliQuantize::tellsOfExpertsWithoutTokens()
{
    quern::Model model, sums;
    modelmaker::add(model, "blk.0.ffn_up_exps.weight", {3, 4, 256}, modelmaker::normalWeights(3 * 4 * 256, 1));
    modelmaker::add(sums, "blk.0.ffn_up_exps.weight.in_sum2", {3, 256}, std::vector<float>(3 * 256, 1));
    modelmaker::add(sums, "blk.0.ffn_up_exps.weight.counts", {3, 1}, {900, 0, 2});
    quern::NoProgress progress;
    quern::writeModel(model, at("experts.gguf").toStdString(), true, progress);
    quern::writeModel(sums, at("imatrix.gguf").toStdString(), true, progress);
    const QStringList arguments {"quantize", at("experts.gguf"), "--format",         "IQ2_XXS",    "-o",
                                 m_out,      "--imatrix",        at("imatrix.gguf"), "--overwrite"};
    const Outcome outcome = run(arguments);
    QVERIFY2(outcome.status == 0, outcome.err.constData());
    QVERIFY2(outcome.err.contains("number 1 of blk.0.ffn_up_exps.weight, saw no token"), outcome.err.constData());
    QVERIFY2(outcome.err.contains("number 2 of blk.0.ffn_up_exps.weight, saw less than 1 %"), outcome.err.constData());
    QCOMPARE(run(QStringList(arguments) << "--json").json()["warnings"].size(), std::size_t {2});
}

// --sequential and a recipe that says the same make the same file, which says how it was made.
void TestCliQuantize::quantizesBlockByBlock()
{
    const QString demo = QUERN_SOURCE_DIR "/resources/demo/demo", text = at("text.txt");
    const QString rule = "blk.?.attn_q.weight=Q4_0:gptq+descent";
    testfiles::put(text.toStdString(), QString("A miller turned the quern. ").repeated(40).toStdString());
    const QStringList plan {"quantize", demo, "-o", m_out, "--json", "--ctx", "64", "--chunks", "2", "--overwrite"};
    const auto with = [&](const QStringList& more) { return run(plan + more); };
    const Outcome dry
        = run({"quantize", demo, "--rule", rule, "--sequential:trust=0.25", "--text", text, "--dry-run", "--json"});
    QVERIFY2(dry.status == 0, dry.err.constData());
    const Outcome done = with({"--rule", rule, "--sequential:trust=0.25", "--text", text});
    QVERIFY2(done.status == 0, done.err.constData());
    QCOMPARE(QFileInfo(m_out).size(), done.json()["bytes"].get<qint64>());
    const Json told = done.json();
    COMPARE_JSON(told["bytes"], dry.json()["bytes"]);
    for (const Json& tensor : told["tensors"])
        if (tensor["name"].get<std::string>().find("attn_q.weight") != std::string::npos) {
            COMPARE_JSON(tensor["method"], "gptq+descent");
            QVERIFY(tensor["rho"].get<double>() > 0);
        }
    const std::string made = testfiles::contents(m_out.toStdString());
    const Json metadata = run({"info", m_out, "--json"}).json()["metadata"];
    const std::string recipe = metadata["quern.recipe"].get<std::string>();
    QVERIFY(recipe.find(R"("sequential":{"trust":0.25})") != std::string::npos);
    testfiles::put(at("sequence.json").toStdString(), recipe);
    const Outcome again = with({"--recipe", at("sequence.json"), "--text", text});
    QVERIFY2(again.status == 0, again.err.constData());
    QVERIFY(testfiles::contents(m_out.toStdString()) == made);
    for (const QStringList& wrong :
         {QStringList {"--recipe", at("sequence.json")}, QStringList {"--rule", rule, "--sequential"},
          QStringList {"--rule", rule, "--sequential", "--text", text, "--calibration", text},
          QStringList {"--rule", rule, "--sequential", "--rewrite", "awq", "--text", text, "--calibration", text,
                       "--imatrix", text},
          QStringList {"--rule", rule, "--sequential:trust", "--text", text}}) {
        const Outcome refused = with(wrong);
        QCOMPARE(refused.status, 2);
        QVERIFY2(refused.err.contains("text") || refused.err.contains("KEY=VALUE"), refused.err.constData());
    }
    QCOMPARE(with({"--rule", rule, "--sequential:trust=3", "--text", text}).status, 1);
}

QTEST_GUILESS_MAIN(TestCliQuantize)
#include "tst_cli_quantize.moc"
