#include "cli/program.h"

#include "core/calibration.h"

using namespace cli;

namespace {

QByteArray contents(const QString& path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

// Anonymous memory of a process, in bytes; 0 when it has ended.
qint64 anonymous(qint64 process)
{
    for (const QByteArray& line : contents(QString("/proc/%1/status").arg(process)).split('\n'))
        if (line.startsWith("RssAnon:"))
            return line.mid(8).trimmed().split(' ').first().toLongLong() * 1024;
    return 0;
}

// A llama of `layers` alike layers, 3.9 MB each, with the demo's tokenizer.
void writeDeepModel(const QString& path, long layers)
{
    const quern::Model demo = quern::openModel(QUERN_SOURCE_DIR "/resources/demo/demo");
    quern::Model model = modelmaker::llama({.layers = layers,
                                            .width = 256,
                                            .hidden = 1024,
                                            .keyWidth = 128,
                                            .vocabulary = demo.find("token_embd.weight")->shape[0],
                                            .heads = 8,
                                            .keyHeads = 4});
    model.metadata.set("llama.context_length", std::uint32_t {512});
    model.metadata.set("llama.embedding_length", std::uint32_t {256});
    model.metadata.set("llama.feed_forward_length", std::uint32_t {1024});
    model.metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    for (const auto& entry : demo.metadata.entries())
        if (entry.key.starts_with("tokenizer."))
            model.metadata.set(entry.key, entry.value);
    const auto all = std::make_shared<modelmaker::Bytes>(4 << 20);
    const std::vector<float> weights = modelmaker::normalWeights(all->bytes.size() / 4, 1);
    std::memcpy(all->bytes.data(), weights.data(), all->bytes.size());
    model.storage.push_back(all);
    for (quern::Tensor& tensor : model.tensors) {
        tensor.format = quern::findBlockFormat("F32");
        const std::size_t bytes = static_cast<std::size_t>(tensor.count()) * 4;
        QVERIFY(bytes <= all->bytes.size());
        tensor.bytes = std::span(all->bytes).first(bytes);
    }
    quern::NoProgress progress;
    quern::writeModel(model, path.toStdString(), true, progress);
}

} // namespace

class TestCliCalibrate : public QObject {
    Q_OBJECT

private slots:
    void init();
    void writesWhatOthersUse();
    void collectsWhatMethodsNeed();
    void tellsWhatItTakesAndLacks();
    void goesOnAfterBeingKilled();
    void staysWithinHalfTheModel();
    void tellsWrongUsage_data();
    void tellsWrongUsage();

private:
    QTemporaryDir m_folder;
    QString m_out;
    const QString m_demo = QUERN_SOURCE_DIR "/resources/demo/demo";
    const QStringList m_text {"--text", m_demo + "/evaluation.txt", "--ctx", "32", "--chunks", "2"};
};

void TestCliCalibrate::init()
{
    m_out = m_folder.filePath("cal.gguf");
    QFile::remove(m_out);
}

void TestCliCalibrate::writesWhatOthersUse()
{
    const Outcome made = run(QStringList {"calibrate", m_demo, "-o", m_out, "--json"} + m_text);
    QVERIFY2(made.status == 0, made.err);
    const Json json = made.json();
    QCOMPARE(json["tokens"].get<int>(), 64);
    QCOMPARE(json["bytes"].get<qint64>(), QFileInfo(m_out).size());
    const quern::Calibration read = quern::readImatrix(m_out.toStdString());
    QCOMPARE(json["tensors"].size(), read.inputs.size());
    for (const Json& tensor : json["tensors"]) {
        const quern::InputStats& stats = *read.find(tensor["name"].get<std::string>());
        const double rms = std::sqrt(stats.sumSquares.sum() / static_cast<double>(64 * stats.sumSquares.cols()));
        QVERIFY(std::abs(tensor["rms"].get<double>() - rms) < 1e-9 * rms);
        QVERIFY(tensor["absmax"].get<double>() >= rms && tensor["channel_spread"].get<double>() >= 1);
        QVERIFY(tensor["top_percent_energy"].get<double>() > 0 && tensor["top_percent_energy"].get<double>() <= 1);
    }
    QVERIFY(!QFile::exists(m_out + ".resume"));
    QCOMPARE(run(QStringList {"calibrate", m_demo, "-o", m_out} + m_text).status, 1); // it exists

    // Quantizing with the file is quantizing with the text.
    const QString a = m_folder.filePath("a.gguf"), b = m_folder.filePath("b.gguf"), c = m_folder.filePath("c.gguf");
    const QStringList quantize {"quantize", m_demo, "--preset", "Q3_K_S", "--method", "nearest", "--json", "-o"};
    const Outcome withFile = run(quantize + QStringList {a, "--calibration", m_out});
    const Outcome withText = run(quantize + QStringList {b} + m_text);
    QVERIFY2(withFile.status == 0 && withText.status == 0, withText.err);
    const Json file = withFile.json(), text = withText.json(), none = run(quantize + QStringList {c}).json();
    for (std::size_t i = 0; i < file["tensors"].size(); ++i) {
        const Json &f = file["tensors"][i], &n = none["tensors"][i];
        COMPARE_JSON(f["rho"], text["tensors"][i]["rho"]);
        if (f["name"] == "blk.0.ffn_down.weight") {
            QVERIFY(f["rho"].is_number() && f["rel_rmse"] != n["rel_rmse"]);
        }
    }
    // Outputs on another text, which here is the same.
    const Json heldOut
        = run(quantize + QStringList {a, "--calibration", m_out, "--held-out", m_out, "--overwrite"}).json();
    for (const Json& tensor : heldOut["tensors"])
        QVERIFY(tensor["rho"].is_null() == tensor["rho_held_out"].is_null()
                || (tensor["rho"] == 0 && tensor["method"] == "copy"));
    const Outcome table = run({"quantize", m_demo, "--preset", "Q3_K_S", "--overwrite", "-o", c, "--held-out", m_out});
    QVERIFY2(table.status == 0 && table.out.contains("held-out rho"), table.err);
    QCOMPARE(run({"quantize", m_demo, "--preset", "Q3_K_S", "--dry-run", "--held-out", m_out}).status, 2);
    const Json compared = run({"compare", m_demo, a, "--calibration", m_out, "--json"}).json();
    QVERIFY(compared.dump().find("\"rho\":0.") != std::string::npos);
}

// A preset by GPTQ: --text then gives second moments as well, and a file must hold them.
void TestCliCalibrate::collectsWhatMethodsNeed()
{
    const QString a = m_folder.filePath("a.gguf");
    const QStringList quantize {"quantize", m_demo, "--preset", "Q4_0", "--json", "--overwrite", "-o", a};
    const QStringList gptq {"--method", "gptq+descent", "--set", "passes=2"};
    const Outcome made = run(quantize + gptq + m_text);
    QVERIFY2(made.status == 0, made.err);
    const Json result = made.json(), nearest = run(quantize + QStringList {"--method", "nearest"} + m_text).json();
    for (std::size_t i = 0; i < result["tensors"].size(); ++i) {
        const Json &tensor = result["tensors"][i], &other = nearest["tensors"][i];
        if (tensor["name"] == "blk.0.ffn_down.weight") {
            COMPARE_JSON(tensor["method"], "gptq+descent");
            QVERIFY(tensor["rel_rmse"].get<double>() > other["rel_rmse"].get<double>()); // the output counts instead
        } else if (tensor["name"] == "token_embd.weight") {
            COMPARE_JSON(tensor["method"], "nearest");
        }
        COMPARE_JSON(tensor["bytes"], other["bytes"]);
    }
    QVERIFY(result["warnings"].dump().find("token_embd.weight") != std::string::npos);
    const Json usual = run(quantize + m_text).json(); // the best that the text allows, without a word
    const auto down = std::ranges::find(usual["tensors"], Json("blk.0.ffn_down.weight"),
                                        [](const Json& tensor) { return tensor["name"]; });
    COMPARE_JSON((*down)["method"], "gptq+descent");
    QVERIFY(usual["warnings"].dump().find("token_embd.weight") == std::string::npos);

    run(QStringList {"calibrate", m_demo, "-o", m_out} + m_text);
    const Outcome without = run(quantize + gptq + QStringList {"--calibration", m_out});
    QVERIFY(without.status == 1 && without.err.contains("second moments"));
    QCOMPARE(run(quantize + QStringList {"--set", "passes=2"}).status, 2);
    QCOMPARE(run(quantize + QStringList {"--method", "gptq", "--set", "passes=2"} + m_text).status, 1);
}

void TestCliCalibrate::tellsWhatItTakesAndLacks()
{
    const Outcome made = run(QStringList {"calibrate", m_demo, "-o", m_out, "--hessian", "--process-output"} + m_text);
    QVERIFY2(made.status == 0, made.err);
    QVERIFY2(made.err.contains("2 chunks of 32 tokens") && made.err.contains("of memory"), made.err);
    QVERIFY2(made.err.contains("64 tokens") && made.err.contains("16 for each column"), made.err);
    QVERIFY(made.out.contains("energy of top 1 %") && made.out.contains("blk.0.ffn_down.weight"));
    const quern::Calibration read = quern::readImatrix(m_out.toStdString());
    QVERIFY(read.find("blk.0.ffn_down.weight")->hessians.at(0));
    QVERIFY(read.find("output.weight") || read.find("token_embd.weight"));
}

void TestCliCalibrate::goesOnAfterBeingKilled()
{
    const QStringList arguments = QStringList {"calibrate", m_demo, "--hessian", "--progress"} + m_text;
    const QString whole = m_folder.filePath("whole.gguf");
    QCOMPARE(run(arguments + QStringList {"-o", whole}).status, 0);

    QProcess process;
    process.start(QUERN_BIN_DIR "/quern-cli", arguments + QStringList {"-o", m_out});
    QVERIFY(process.waitForStarted());
    while (!QFile::exists(m_out + ".resume/block-1.gguf"))
        QVERIFY(process.state() == QProcess::Running && !process.waitForFinished(1));
    process.kill();
    QVERIFY(process.waitForFinished());
    QCOMPARE(process.exitStatus(), QProcess::CrashExit);
    QVERIFY(!QFile::exists(m_out));

    const Outcome resumed = run(arguments + QStringList {"-o", m_out});
    QVERIFY2(resumed.status == 0, resumed.err);
    QVERIFY2(resumed.err.contains("is taken up") && !resumed.err.contains("\"blk.0\""), resumed.err);
    QVERIFY(contents(m_out) == contents(whole));
    QVERIFY(!QFile::exists(m_out + ".resume"));
}

void TestCliCalibrate::staysWithinHalfTheModel()
{
    const QString path = m_folder.filePath("deep.gguf");
    writeDeepModel(path, 60);
    const qint64 limit = QFileInfo(path).size() / 2;
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert("ASAN_OPTIONS", "quarantine_size_mb=1:thread_local_quarantine_size_kb=64");
    process.setProcessEnvironment(environment);
    process.start(
        QUERN_BIN_DIR "/quern-cli",
        {"calibrate", path, "-o", m_out, "--text", m_demo + "/evaluation.txt", "--ctx", "16", "--chunks", "1"});
    qint64 most = 0;
    while (!process.waitForFinished(3) && process.state() == QProcess::Running)
        most = std::max(most, anonymous(process.processId()));
    QVERIFY2(process.exitCode() == 0, process.readAllStandardError());
    QVERIFY(most > 0);
    QVERIFY2(most < limit, qPrintable(QString("%1 of %2 bytes").arg(most).arg(limit)));
    QCOMPARE(quern::readImatrix(m_out.toStdString()).inputs.size(), std::size_t {60 * 7});
}

void TestCliCalibrate::tellsWrongUsage_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::newRow("no text") << QStringList {"calibrate", "m", "-o", "c"};
    QTest::newRow("no output") << QStringList {"calibrate", "m", "--text", "t"};
    QTest::newRow("two calibrations") << QStringList {"quantize", m_demo,          "-o", "x",         "--preset",
                                                      "Q4_0",     "--calibration", "c",  "--imatrix", "i"};
    QTest::newRow("a dry run with a text")
        << QStringList {"quantize", m_demo, "--preset", "Q4_0", "--text", "t", "--dry-run"};
    QTest::newRow("chunks too short") << QStringList {"calibrate", m_demo,    "-o",    "c",
                                                      "--text",    m_text[1], "--ctx", "3"};
}

void TestCliCalibrate::tellsWrongUsage()
{
    QFETCH(QStringList, arguments);
    QCOMPARE(run(arguments).status, 2);
}

QTEST_GUILESS_MAIN(TestCliCalibrate)
#include "tst_cli_calibrate.moc"
