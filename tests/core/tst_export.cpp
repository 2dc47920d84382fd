#include "core/mappedfile.h"
#include "core/quantize.h"

#include "core/modelmaker.h"
#include "core/preset.h"
#include "tests/core/testfiles.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTest>

#include <csignal>
#include <filesystem>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace quern;
using testfiles::complaint, testfiles::contents, testfiles::Mount;

namespace {

// Cancels, or does something else once, when the work has come so far.
class At final : public Progress {
public:
    At(double fraction, std::function<void()> action)
        : m_fraction(fraction)
        , m_action(std::move(action))
    {
    }
    void report(double fraction, std::string_view) override
    {
        if (fraction >= m_fraction && !m_reached.exchange(true) && m_action)
            m_action();
    }
    bool cancelled() const override { return m_reached && !m_action; }
    bool reached() const { return m_reached; }

private:
    double m_fraction;
    std::function<void()> m_action; // none: cancel
    std::atomic<bool> m_reached = false;
};

Model sample()
{
    Model model;
    model.metadata.set("general.architecture", std::string("test"));
    model.metadata.set("general.alignment", std::uint32_t {64});
    for (int layer = 0; layer < 2; ++layer) {
        const std::string blk = "blk." + std::to_string(layer);
        modelmaker::add(model, blk + ".attn_q.weight", {128, 512}, modelmaker::normalWeights(128 * 512, 1), "BF16");
        modelmaker::add(model, blk + ".odd.weight", {7, 36}, modelmaker::normalWeights(7 * 36, 3), "F32");
        modelmaker::add(model, blk + ".attn_norm.weight", {9}, modelmaker::normalWeights(9, 3, 1), "F32");
    }
    return model;
}

Recipe recipe(const char* format)
{
    return {.name = {},
            .preset = nullptr,
            .rules = {{"*attn_q*", {findQuantizer("nearest"), findBlockFormat(format), {}}}}};
}

void run(const Model& model, const fs::path& target, const char* format = "Q8_0", const ExportOptions& options = {})
{
    NoProgress progress;
    exportModel(model, resolve(recipe(format), model, nullptr), nullptr, target, options, progress);
}

} // namespace

class TestExport : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;
    fs::path m_target;

    QStringList names() const
    {
        QStringList all = QDir(QString::fromStdString(static_cast<const fs::path&>(m_folder).string()))
                              .entryList(QDir::Files | QDir::Hidden);
        return all;
    }

private slots:
    void init();
    void writesWhatWasPlanned_data();
    void writesWhatWasPlanned();
    void carriesOwnFormats_data();
    void carriesOwnFormats();
    void equalsQuantizeThenWrite();
    void keepsMetadata();
    void cancelledLeavesTheOldFile();
    void killedLeavesTheOldFile();
    void fullDiskLeavesNothing();
    void refusesToReplaceTheSourceUnlessTold();
    void replacesTheSourceWhenTold();
    void refusesAReadOnlyFolder();
    void refusesNonFiniteWeights();
    void refusesWhatTheCarrierCannotHold();
    void refusesCoarseFormatsWithoutImportance();
    void noticesThatTheSourceIsCutShort();
    void refusesWhatCannotBeExported();
};

void TestExport::init()
{
    m_folder.renew();
    m_target = m_folder / "out.gguf";
}

void TestExport::writesWhatWasPlanned_data()
{
    QTest::addColumn<QString>("format");
    for (const BlockFormat* format : blockFormats())
        if (format->inGguf() && format->encode && format->fits(512))
            QTest::addRow("%s", std::string(format->name).c_str()) << QString::fromStdString(std::string(format->name));
}

void TestExport::writesWhatWasPlanned()
{
    QFETCH(QString, format);
    const Model model = sample();
    const Plan plan = resolve(recipe(format.toUtf8().constData()), model, nullptr);
    std::vector<TensorResult> results;
    NoProgress progress;
    ExportOptions options;
    options.coarse = true;
    options.done = [&](const TensorResult& r) { results.push_back(r); };
    exportModel(model, plan, nullptr, m_target, options, progress);
    QCOMPARE(names(), QStringList {"out.gguf"});
    QCOMPARE(fs::file_size(m_target), plan.fileBytes);
    const Model written = openModel(m_target);
    QCOMPARE(written.tensors.size(), model.tensors.size());
    QCOMPARE(results.size(), model.tensors.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
        const Tensor &original = model.tensors[i], &stored = written.tensors[i];
        QCOMPARE(results[i].index, i);
        QCOMPARE(stored.name, original.name);
        QCOMPARE(stored.shape, original.shape);
        QCOMPARE(stored.format, plan.tensors[i].stored);
        QCOMPARE(stored.bytes.size(), plan.tensors[i].storedBytes);
        const Distortion d = distortion(original, stored, {}, progress); // of what the file holds
        QVERIFY(std::abs(d.errorSquares - results[i].stored.errorSquares) <= 1e-9 * d.errorSquares);
        if (!plan.tensors[i].choice.quantizer)
            QCOMPARE(d.errorSquares, 0.0);
    }
}

void TestExport::carriesOwnFormats_data()
{
    QTest::addColumn<QString>("format");
    int own = 0;
    for (const BlockFormat* format : blockFormats())
        if (!format->inGguf() && own++ % 4 == 0 && format->encode && format->fits(512))
            QTest::addRow("%s", std::string(format->name).c_str()) << QString::fromStdString(std::string(format->name));
    QVERIFY2(own > 0, "the catalogue has no format of our own");
}

void TestExport::carriesOwnFormats()
{
    QFETCH(QString, format);
    const BlockFormat& own = *findBlockFormat(format.toStdString());
    const Model model = sample();
    NoProgress progress;
    const Plan plan = resolve(recipe(format.toUtf8().constData()), model, nullptr);
    std::vector<TensorResult> results;
    ExportOptions options;
    options.done = [&](const TensorResult& r) { results.push_back(r); };
    exportModel(model, plan, nullptr, m_target, options, progress);
    const Model kept = quantize(model, plan, nullptr, {}, progress), written = openModel(m_target);
    const Matrix method = decoded(kept.tensors[0]), stored = decoded(written.tensors[0]);
    QCOMPARE(kept.tensors[0].format, &own);
    if (own.carry) {
        QVERIFY(method == stored);
        QCOMPARE(results[0].stored.errorSquares, results[0].method.errorSquares);
    } else {
        QVERIFY((method - stored).cwiseAbs().maxCoeff() <= 1e-3F * method.cwiseAbs().maxCoeff());
    }
}

void TestExport::equalsQuantizeThenWrite()
{
    const Model model = sample();
    run(model, m_target, "Q4_0");
    NoProgress progress;
    const Model made = quantize(model, resolve(recipe("Q4_0"), model, nullptr), nullptr, {}, progress);
    writeModel(made, m_folder / "two.gguf", false, progress);
    QVERIFY(contents(m_target) == contents(m_folder / "two.gguf"));
}

void TestExport::keepsMetadata()
{
    Model model = sample();
    model.metadata.set("tokenizer.list", MetaArray(std::vector<std::string> {"a", "\xC3\xBC"}));
    run(model, m_target);
    const Model written = openModel(m_target);
    for (const auto& [key, value] : model.metadata.entries())
        QVERIFY2(written.metadata.find(key) && *written.metadata.find(key) == value, key.c_str());
    QCOMPARE(*written.metadata.integer("general.file_type"), 7);
    QVERIFY(written.metadata.find("quern.recipe"));
}

void TestExport::cancelledLeavesTheOldFile()
{
    std::ofstream(m_target) << "old";
    const Model model = sample();
    const Plan plan = resolve(recipe("Q8_0"), model, nullptr);
    for (const double fraction : {0.0, 0.5, 0.97, 0.98}) {
        At progress(fraction, nullptr);
        ExportOptions options;
        options.overwrite = true;
        QVERIFY_EXCEPTION_THROWN(exportModel(model, plan, nullptr, m_target, options, progress), Cancelled);
        QCOMPARE(names(), QStringList {"out.gguf"});
        QCOMPARE(contents(m_target), "old");
    }
}

void TestExport::killedLeavesTheOldFile()
{
    const QString program = QUERN_BIN_DIR "/quern-cli";
    QVERIFY2(QFile::exists(program), "quern-cli is not built");
    Model model;
    modelmaker::add(model, "blk.0.ffn_up.weight", {400, 4096}, modelmaker::normalWeights(400 * 4096, 1), "BF16");
    NoProgress none;
    writeModel(model, m_folder / "in.gguf", false, none);
    const auto arguments = [&] {
        return QStringList {"quantize",   QString::fromStdString(m_folder / "in.gguf"),
                            "-o",         QString::fromStdString(m_target),
                            "--format",   "Q4_K",
                            "--progress", "--threads",
                            "1",          "--overwrite"};
    };
    std::ofstream(m_target) << "old";
    QProcess process;
    process.setReadChannel(QProcess::StandardError);
    process.start(program, arguments());
    while (!process.canReadLine())
        QVERIFY(process.waitForReadyRead(60'000));
    ::kill(static_cast<pid_t>(process.processId()), SIGKILL);
    QVERIFY(process.waitForFinished());
    QCOMPARE(process.exitStatus(), QProcess::CrashExit);
    QCOMPARE(contents(m_target), "old");
    process.start(program, arguments()); // works in spite of what was left
    QVERIFY(process.waitForFinished(120'000) && process.exitCode() == 0);
    QCOMPARE(names(), (QStringList {"in.gguf", "out.gguf"}));
    QCOMPARE(openModel(m_target).tensors[0].format->name, "Q4_K");
}

void TestExport::fullDiskLeavesNothing()
{
    const fs::path disk = m_folder / "disk";
    fs::create_directory(disk);
    const Mount mounted(disk, 0, "size=100k");
    if (!mounted)
        QSKIP("Mounting a small file system needs rights that this user lacks.");
    const QString said = complaint([&] { run(sample(), disk / "out.gguf"); });
    QVERIFY2(said.contains("free") || said.contains("full"), qPrintable(said));
    QVERIFY(fs::is_empty(disk));
}

void TestExport::refusesToReplaceTheSourceUnlessTold()
{
    run(sample(), m_target, "F16");
    const std::string before = contents(m_target);
    fs::create_symlink(m_target, m_folder / "link.gguf");
    const Model model = openModel(m_target);
    for (const char* name : {"out.gguf", "link.gguf", "./out.gguf"})
        QVERIFY2(complaint([&] { run(model, m_folder / name); }).contains("opened model"), name);
    QVERIFY(contents(m_target) == before);
}

void TestExport::replacesTheSourceWhenTold()
{
    run(sample(), m_target, "F16");
    const Model model = openModel(m_target);
    ExportOptions options;
    options.overwrite = true;
    run(model, m_target, "Q8_0", options);
    QCOMPARE(openModel(m_target).tensors[0].format->name, "Q8_0");
    QCOMPARE(names(), QStringList {"out.gguf"});
    model.check(); // the opened one still lives
    QVERIFY(decoded(model.tensors[0]).allFinite());
}

void TestExport::refusesAReadOnlyFolder()
{
    const fs::path folder = m_folder / "fixed";
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
    const bool mounted = geteuid() == 0 && mount("tmpfs", folder.c_str(), "tmpfs", MS_RDONLY, nullptr) == 0;
    if (geteuid() == 0 && !mounted)
        QSKIP("The administrator may write anywhere, and no read-only file system could be mounted.");
    const QString said = complaint([&] { run(sample(), folder / "out.gguf"); });
    if (mounted)
        umount2(folder.c_str(), MNT_DETACH);
    fs::permissions(folder, fs::perms::owner_all);
    QVERIFY2(said.contains("cannot be written") || said.contains("free"), qPrintable(said));
    QVERIFY(fs::is_empty(folder));
}

void TestExport::refusesNonFiniteWeights()
{
    Model model = sample();
    std::vector<float> weights(9, 1.0F);
    weights[4] = std::numeric_limits<float>::quiet_NaN();
    modelmaker::add(model, "broken_norm.weight", {9}, weights, "F32"); // copied, and refused all the same
    const QString said = complaint([&] { run(model, m_target); });
    QVERIFY2(said.contains("broken_norm.weight"), qPrintable(said));
    QVERIFY(names().isEmpty());
    ExportOptions options;
    options.zeroNonFinite = true;
    run(model, m_target, "Q8_0", options);
    QCOMPARE(decoded(openModel(m_target).tensors.back())(0, 4), 0.0F);
}

void TestExport::refusesWhatTheCarrierCannotHold()
{
    Model model;
    model.metadata.set("general.architecture", std::string("test"));
    modelmaker::add(model, "attn_q.weight", {32, 64}, std::vector<float>(32 * 64, 1e30F), "F32");
    const QString said = complaint([&] { run(model, m_target, "F16"); });
    QVERIFY2(said.contains("attn_q.weight") && said.contains("F16"), qPrintable(said));
    QVERIFY(names().isEmpty());
}

void TestExport::refusesCoarseFormatsWithoutImportance()
{
    const Model model = sample();
    const QString said = complaint([&] { run(model, m_target, "IQ2_XXS"); });
    QVERIFY2(said.contains("IQ2_XXS") && said.contains("blk.0.attn_q.weight"), qPrintable(said));
    QVERIFY(names().isEmpty());
    ExportOptions options;
    options.coarse = true;
    run(model, m_target, "IQ2_XXS", options);
    QCOMPARE(openModel(m_target).tensors.front().format->name, "IQ2_XXS");
}

void TestExport::noticesThatTheSourceIsCutShort()
{
    const fs::path source = m_folder / "in.gguf";
    Model large;
    large.metadata.set("general.architecture", std::string("test"));
    modelmaker::add(large, "attn_q.weight", {3000, 1024}, modelmaker::normalWeights(3000 * 1024, 1), "BF16");
    run(large, source, "BF16");
    const Model model = openModel(source);
    const Plan plan = resolve(recipe("Q8_0"), model, nullptr);
    At progress(0.3, [&] { fs::resize_file(source, fs::file_size(source) / 2); });
    const QString said = complaint([&] { exportModel(model, plan, nullptr, m_target, {}, progress); });
    QVERIFY(progress.reached());
    QVERIFY2(said.contains("in.gguf"), qPrintable(said));
    QCOMPARE(names(), QStringList {"in.gguf"});
}

void TestExport::refusesWhatCannotBeExported()
{
    Model model = sample();
    model.obstacle = Error("%1 cannot be exported.", {"bert"});
    QCOMPARE(complaint([&] { run(model, m_target); }), "bert cannot be exported.");
    QVERIFY(names().isEmpty());
}

QTEST_GUILESS_MAIN(TestExport)
#include "tst_export.moc"
