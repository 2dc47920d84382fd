// The command line that the window copies, run by a shell, against what the window does itself.
#include "core/commandline.h"

#include "core/calibrate.h"
#include "core/preset.h"
#include "core/quantize.h"
#include "core/rewrite.h"
#include "tests/cli/program.h"
#include "tests/core/forwardrun.h"
#include "tests/core/testfiles.h"
#include "tests/core/tinymodels.h"

#include <QDir>

using namespace quern;

// One export, by the window and by its command line.
struct Wish {
    Recipe recipe;
    Command command;
    bool sayable = true;
};
Q_DECLARE_METATYPE(Wish)

class TestCliCommandLine : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;

private slots:
    void initTestCase();
    void givesTheSameFile_data();
    void givesTheSameFile();
};

namespace {

constexpr const char* kOdd = "-it's a \"model\" = $HOME `x` \\ (1)\n#\xC3\xBC.gguf"; // a path relative to the folder

Choice to(const char* format)
{
    return {.quantizer = findQuantizer("nearest"), .format = findBlockFormat(format), .settings = {}};
}

Recipe recipe(const char* preset, std::vector<Rule> rules)
{
    return {.name = {}, .preset = preset ? findPreset(preset) : nullptr, .rules = std::move(rules)};
}

void writeImatrix(const Model& model, const char* path)
{
    Model sums;
    std::uint64_t seed = 100;
    for (const Tensor& tensor : model.tensors) {
        if (tensor.shape.size() != 2)
            continue;
        std::vector<float> squares = modelmaker::normalWeights(static_cast<std::size_t>(tensor.cols()), ++seed, 1);
        for (float& x : squares)
            x *= x;
        modelmaker::add(sums, tensor.name + ".in_sum2", {1, tensor.cols()}, squares);
        modelmaker::add(sums, tensor.name + ".counts", {1, 1}, {8});
    }
    NoProgress progress;
    writeModel(sums, path, false, progress);
}

// A model that can be run, and what it sees.
void writeCalibrated()
{
    const Model model = tinygguf::gpt2();
    NoProgress progress;
    writeModel(model, "runs.gguf", false, progress);
    const Chunks chunks {32, forwardrun::someTokens(64, tinygguf::kTokens)};
    writeCalibration(calibrate(model, chunks, {}, progress), "calibration.gguf", false, progress);
}

Chunks chunksFor(const Model& model, const Command& command)
{
    return chunksOf(tokenizerOf(model), testfiles::contents(command.text), command.context, command.chunks,
                    NoProgress());
}

Command sequenceCommand()
{
    Command command;
    command.model = "reads.gguf";
    command.imatrix = "of my text.gguf";
    command.text = "my text.txt";
    command.context = 16;
    command.chunks = 3;
    return command;
}

// A model that can read a text, the text, and a calibration on it.
void writeReader()
{
    NoProgress progress;
    const Command command = sequenceCommand();
    writeModel(tiny::modelOf("llama"), command.model, false, progress);
    std::string text;
    for (int i = 0; i < 30; ++i)
        text += "A miller turned the quern " + std::to_string(i) + " times. ";
    testfiles::put(command.text, text);
    const Model model = openModel(command.model);
    writeCalibration(
        calibrate(model, chunksFor(model, command), {.hessians = true, .datasets = {"my text.txt"}}, progress),
        command.imatrix, false, progress);
}

} // namespace

void TestCliCommandLine::initTestCase()
{
    QVERIFY(QDir::setCurrent(m_folder.path()));
    cli::writeSmallModel("model.gguf");
    cli::writeSmallModel("broken.gguf", true);
    QVERIFY(QFile::copy("model.gguf", kOdd));
    writeImatrix(openModel("model.gguf"), "my imatrix.gguf");
    writeCalibrated();
    writeReader();
}

void TestCliCommandLine::givesTheSameFile_data()
{
    QTest::addColumn<Wish>("wish");
    const auto row = [](const char* name, Recipe recipe, Command command, bool sayable = true) {
        command.target = "shell's.gguf";
        command.recipe = "the recipe's file.json";
        QTest::addRow("%s", name) << Wish {std::move(recipe), std::move(command), sayable};
    };
    Command plain, imatrix, calibrated, odd, broken, replaced;
    plain.model = imatrix.model = replaced.model = "model.gguf";
    calibrated.model = "runs.gguf";
    calibrated.imatrix = "calibration.gguf";
    imatrix.imatrix = "my imatrix.gguf";
    odd.model = kOdd;
    broken.model = "broken.gguf";
    broken.zeroNonFinite = replaced.overwrite = true;
    const std::vector<Rule> rules {{"blk.*.ffn_down.weight", to("Q8_0")},
                                   {"/attn_(q|k).weight$|a=b'/", {}},
                                   {"blk.1.ffn_up.weight", to("INT5_G64_MIN")}};
    row("preset", recipe("Q4_1", {}), plain);
    row("preset and rules", recipe("Q4_0", rules), plain);
    row("rules", recipe(nullptr, rules), plain);
    row("affine", recipe(nullptr, {{"*", to("INT4_G128_SYM")}}), plain);
    row("affine and rules", recipe(nullptr, {{"*", to("INT4_ROW_SYM")}, {"output.weight", to("F16")}}), plain);
    Recipe halfQuadratic = recipe("Q4_1", {{"output.weight", to("F16")}});
    halfQuadratic.method = findQuantizer("hqq");
    halfQuadratic.settings = {{"rounds", 3}};
    row("preset with a method", halfQuadratic, plain);
    row("preset with imatrix", recipe("Q4_0", {}), imatrix);
    row("odd path", recipe("Q8_0", {}), odd);
    row("weights that are no numbers", recipe("Q8_0", {}), broken);
    Command coarse = plain;
    coarse.coarse = true;
    row("too coarse", recipe(nullptr, {{"blk.0.ffn_down.weight", to("IQ2_XS")}}), coarse);
    row("replaced", recipe("Q8_0", {}), replaced);
    Recipe method = recipe("Q4_1", {{"output.weight", to("Q8_0")}});
    method.method = findQuantizer("hqq");
    row("preset with a method", method, plain);
    method.settings = {{"rounds", 3}, {"p", 0.6}};
    row("preset with a method and settings", method, plain);
    Recipe rescaled = recipe("Q4_0", {});
    rescaled.method = findQuantizer("nearest");
    rescaled.rewrites = {{findRewrite("smoothquant"), {}}, {findRewrite("awq"), {{"ratios", 2}, {"rows", 16}}}};
    row("preset with rewrites", rescaled, calibrated);
    Recipe named = recipe("Q4_0", rules);
    named.name = "mine & yours";
    row("recipe with a name", named, plain, false);
    Recipe sequence = recipe(nullptr, {{"blk.*", {findQuantizer("gptq"), findBlockFormat("INT3_G16_MIN"), {}}}});
    sequence.sequential = Settings {};
    row("block by block", sequence, sequenceCommand());
    Command whole = sequenceCommand();
    whole.chunks = 0;
    sequence.sequential = Settings {{"trust", 0.25}};
    row("block by block on all of a text", sequence, whole);
    sequence.rewrites = {{findRewrite("awq"), {{"ratios", 2}, {"rows", 16}}}};
    sequence.name = "both";
    row("block by block after rewrites, with a name", sequence, sequenceCommand(), false);
    row("nothing but copies", recipe(nullptr, {}), plain, false);
}

void TestCliCommandLine::givesTheSameFile()
{
    QFETCH(Wish, wish);
    const Command& command = wish.command;
    const Model model = openModel(command.model);
    std::optional<Calibration> calibration;
    if (!command.imatrix.empty())
        calibration = readImatrix(command.imatrix);
    const Calibration* inputs = calibration ? &*calibration : nullptr;
    NoProgress progress;
    ExportOptions options;
    options.overwrite = true;
    options.zeroNonFinite = command.zeroNonFinite;
    options.coarse = command.coarse;
    std::optional<Chunks> chunks;
    if (wish.recipe.sequential) {
        chunks = chunksFor(model, command);
        calibration->chunks = chunks->count();
    }
    options.text = chunks ? &*chunks : nullptr;
    const bool weighs = !chunks || !wish.recipe.rewrites.empty();
    exportModel(model, resolve(wish.recipe, model, inputs), weighs ? inputs : nullptr, "window.gguf", options,
                progress);

    QFile::remove("shell's.gguf");
    if (command.overwrite)
        testfiles::put(command.target, "old");
    QCOMPARE(sayable(wish.recipe), wish.sayable);
    testfiles::put(command.recipe, wish.sayable ? "no recipe" : toJson(wish.recipe));
    QProcess shell;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert("PATH", QUERN_BIN_DIR ":" + environment.value("PATH"));
    shell.setProcessEnvironment(environment);
    shell.start("sh", {"-c", QString::fromStdString(commandLine(wish.recipe, command))});
    QVERIFY(shell.waitForFinished(60'000));
    QVERIFY2(shell.exitCode() == 0, shell.readAllStandardError().constData());
    QVERIFY(testfiles::contents(command.target) == testfiles::contents("window.gguf"));
}

QTEST_GUILESS_MAIN(TestCliCommandLine)
#include "tst_cli_commandline.moc"
