// What recipes make of a model's tensors.
#include "core/preset.h"
#include "tests/core/recipes.h"
#include "tests/core/testfiles.h"

#include <QTest>

using namespace quern;
using namespace recipes;
using testfiles::complaint;

class TestResolve : public QObject {
    Q_OBJECT

private slots:
    void lastMatchingRuleDecides();
    void wildcardsLeaveVectorsAlone();
    void tellsOfRulesThatMatchNothing();
    void tellsOfFallbacks();
    void refusesGroupsThatDoNotDivideTheRow();
    void refusesWhatCannotBeWritten();
    void refusesSettingsOutOfRange();
    void copiesWhatIsOfTheTypeAlready();
    void describesTheResultInItsMetadata();
    void checksTheImportanceMatrix();
    void tellsOfExpertsWithoutTokens();
    void givesPresetsAMethod();
    void knowsWhatMethodsNeed();
    void saysWhatNeedsAnImportance_data();
    void saysWhatNeedsAnImportance();
};

void TestResolve::lastMatchingRuleDecides()
{
    const Model model = small();
    Recipe wanted = recipe({{"*", to("Q4_0")}, {"blk.1.*", to("Q8_0")}, {"blk.*.attn_q.weight", {}}});
    wanted.preset = findPreset("Q6_K");
    const Plan plan = resolve(wanted, model, nullptr);
    QCOMPARE(planned(plan, model, "blk.0.attn_k.weight").choice.format->name, "Q4_0");
    QCOMPARE(planned(plan, model, "blk.1.attn_k.weight").choice.format->name, "Q8_0");
    QCOMPARE(planned(plan, model, "blk.1.attn_q.weight").choice.format->name, "F16");
    QVERIFY(!planned(plan, model, "blk.1.attn_q.weight").choice.quantizer);
}

void TestResolve::wildcardsLeaveVectorsAlone()
{
    const Model model = small();
    const Plan plan = resolve(recipe({{"*", to("Q8_0")}, {"output_norm.weight", to("F16")}}), model, nullptr);
    QCOMPARE(planned(plan, model, "blk.0.attn_norm.weight").choice.format->name, "F32");
    QCOMPARE(planned(plan, model, "output_norm.weight").choice.format->name, "F16");
}

void TestResolve::tellsOfRulesThatMatchNothing()
{
    const Plan plan = resolve(recipe({{"blk.99.*", to("Q8_0")}}), small(), nullptr);
    QCOMPARE(plan.warnings.size(), std::size_t {1});
    QVERIFY(plan.warnings[0].find("blk.99.*") != std::string::npos);
}

void TestResolve::tellsOfFallbacks()
{
    Model model = small();
    model.tensors.push_back(modelmaker::outline("blk.3.ffn_up_b.weight", {256, 96}));
    Recipe wanted;
    wanted.preset = findPreset("Q4_K_S");
    const Plan plan = resolve(wanted, model, nullptr);
    QCOMPARE(plan.tensors.back().choice.format->name, "Q5_0");
    QCOMPARE(plan.tensors.back().asked->name, "Q4_K");
    QCOMPARE(plan.warnings.size(), std::size_t {1});
    QVERIFY(plan.warnings[0].find("blk.3.ffn_up_b.weight") != std::string::npos);
}

void TestResolve::refusesGroupsThatDoNotDivideTheRow()
{
    Model model = small();
    model.tensors.push_back(modelmaker::outline("blk.3.odd.weight", {256, 172}));
    const QString said = complaint([&] { resolve(recipe({{"*", to("Q8_0")}}), model, nullptr); });
    QVERIFY2(said.contains("blk.3.odd.weight") && said.contains("172") && said.contains("32"), qPrintable(said));
}

void TestResolve::refusesWhatCannotBeWritten()
{
    BlockFormat readOnly = *findBlockFormat("Q4_K");
    readOnly.encode = nullptr;
    readOnly.place = nullptr;
    const Recipe wanted
        = recipe({{"output.weight", {.quantizer = findQuantizer("nearest"), .format = &readOnly, .settings = {}}}});
    const QString said = complaint([&] { resolve(wanted, small(), nullptr); });
    QVERIFY2(said.contains("Q4_K") && said.contains("output.weight"), qPrintable(said));
    const Plan sizes = resolve(wanted, small(), nullptr, Purpose::Sizes);
    QCOMPARE(sizes.tensors[2].storedBytes, std::uint64_t {512} * readOnly.rowBytes(256));
}

void TestResolve::refusesSettingsOutOfRange()
{
    Choice choice = to("Q8_0");
    choice.settings["no_such"] = 1;
    QVERIFY(complaint([&] { resolve(recipe({{"*", choice}}), small(), nullptr); }).contains("no_such"));
}

void TestResolve::copiesWhatIsOfTheTypeAlready()
{
    Recipe wanted;
    wanted.preset = findPreset("F16");
    const Model model = small();
    const Plan plan = resolve(wanted, model, nullptr);
    QVERIFY(std::ranges::none_of(plan.tensors, [](const PlannedTensor& t) { return t.choice.quantizer; }));
    const double bytes = plan.bitsPerWeight(model) * static_cast<double>(model.parameters()) / 8;
    QCOMPARE(plan.storedBytes, static_cast<std::uint64_t>(std::llround(bytes)));
}

void TestResolve::describesTheResultInItsMetadata()
{
    Model model = small();
    model.sourceHash = "abc123";
    model.metadata.set("split.count", std::uint16_t {2});
    model.metadata.set("general.file_type", std::uint32_t {1});
    model.metadata.set("general.name", std::string("kept"));
    Recipe wanted;
    wanted.preset = findPreset("Q4_K_M");
    const Metadata made = resolve(wanted, model, nullptr).metadata;
    QCOMPARE(*made.integer("general.file_type"), 15);
    QCOMPARE(*made.integer("general.quantization_version"), 2);
    QCOMPARE(*made.text("quern.source_hash"), "abc123");
    QVERIFY(recipeFromJson(*made.text("quern.recipe"), "metadata") == wanted);
    QCOMPARE(*made.text("general.name"), "kept");
    QVERIFY(!made.find("split.count"));
    QVERIFY(!made.find("quantize.imatrix.file"));
    QCOMPARE(*resolve(recipe({{"*", to("Q8_0")}}), model, nullptr).metadata.integer("general.file_type"), 7);
    QCOMPARE(*resolve(recipe({{"*", to("Q5_K")}}), model, nullptr).metadata.integer("general.file_type"), 17);
    QCOMPARE(*resolve(Recipe {}, model, nullptr).metadata.integer("general.file_type"), 1);
}

void TestResolve::checksTheImportanceMatrix()
{
    const Model model = small();
    Calibration calibration;
    calibration.path = "/some/folder/of mine/my.imatrix";
    calibration.datasets = {"wiki"};
    calibration.chunks = 12;
    InputStats stats {.sumSquares = Eigen::MatrixXd::Ones(1, 256), .counts = {4}};
    calibration.inputs["blk.0.attn_q.weight"] = stats;
    Recipe wanted;
    wanted.preset = findPreset("Q4_0");
    const Plan plan = resolve(wanted, model, &calibration);
    QCOMPARE(planned(plan, model, "blk.0.ffn_down.weight").choice.format->name, "Q4_0"); // 4 layers / 8 = 0
    QCOMPARE(*plan.metadata.text("quantize.imatrix.file"), "my.imatrix");
    QCOMPARE(*plan.metadata.text("quantize.imatrix.dataset"), "wiki");
    QCOMPARE(*plan.metadata.integer("quantize.imatrix.entries_count"), 1);
    QCOMPARE(*plan.metadata.integer("quantize.imatrix.chunks_count"), 12);
    QVERIFY(plan.warnings.at(0).find("importance") != std::string::npos);
    calibration.inputs["blk.0.attn_k.weight"].sumSquares = Eigen::MatrixXd::Ones(1, 100);
    const QString said = complaint([&] { resolve(wanted, model, &calibration); });
    QVERIFY2(said.contains("blk.0.attn_k.weight") && said.contains("100"), qPrintable(said));
}

// Number 1 saw nothing, number 2 next to nothing; a tensor that stays as it is does not matter.
void TestResolve::tellsOfExpertsWithoutTokens()
{
    Model model = small();
    model.tensors.push_back(modelmaker::outline("blk.0.ffn_up_exps.weight", {4, 64, 256}));
    model.tensors.push_back(modelmaker::outline("blk.1.ffn_up_exps.weight", {4, 64, 256}));
    Calibration calibration;
    InputStats stats;
    stats.sumSquares = Eigen::MatrixXd::Constant(4, 256, 2.0);
    stats.counts = {4000, 0, 9, 4000};
    calibration.inputs["blk.0.ffn_up_exps.weight"] = calibration.inputs["blk.1.ffn_up_exps.weight"] = stats;
    const Plan plan = resolve(recipe({{"blk.0.ffn_up_exps.weight", to("IQ2_XXS")}}), model, &calibration);
    QCOMPARE(plan.warnings.size(), std::size_t {2});
    const QString none = QString::fromStdString(plan.warnings[0]), few = QString::fromStdString(plan.warnings[1]);
    QVERIFY2(none.startsWith("1 of 4") && none.contains("1 of blk.0.ffn_up_exps.weight"), qPrintable(none));
    QVERIFY2(few.startsWith("1 of 4") && few.contains("2 of blk.0.ffn_up_exps.weight"), qPrintable(few));
    InputStats& given = calibration.inputs["blk.0.ffn_up_exps.weight"];
    given.counts = {4000, 40, 4000, 4000};
    given.sumSquares.row(3).setZero(); // what older files have of experts that saw nothing
    const auto warnings = resolve(recipe({{"blk.0.ffn_up_exps.weight", to("IQ2_XXS")}}), model, &calibration).warnings;
    QCOMPARE(warnings.size(), std::size_t {1});
    QVERIFY2(warnings[0].find("3 of blk.0.ffn_up_exps.weight, saw no token") != std::string::npos, warnings[0].c_str());
    QCOMPARE(given.importance(3), std::vector<float>(256, 1.0F));
    given.sumSquares(3, 255) = 1;
    QVERIFY(resolve(recipe({{"blk.0.ffn_up_exps.weight", to("IQ2_XXS")}}), model, &calibration).warnings.empty());
}

void TestResolve::givesPresetsAMethod()
{
    const Model model = small();
    Calibration calibration;
    for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_q.weight", "output.weight"}) {
        InputStats& stats = calibration.inputs[name];
        stats.sumSquares = Eigen::MatrixXd::Ones(1, 256);
        stats.counts = {4};
        if (*name == 'b')
            stats.hessians = {std::make_shared<const Hessian>(Hessian::of(256, std::vector<float>(256 * 257 / 2, 1)))};
    }
    Recipe wanted;
    wanted.preset = findPreset("Q4_K_M");
    wanted.method = findQuantizer("gptq");
    wanted.settings["damping"] = 0.05;
    const Plan plan = resolve(wanted, model, &calibration);
    const Choice chosen = planned(plan, model, "blk.1.attn_q.weight").choice;
    QVERIFY(chosen == Choice({wanted.method, findBlockFormat("Q4_K"), wanted.settings}));
    // Without second moments, of the tensor or at all.
    QCOMPARE(planned(plan, model, "blk.0.attn_k.weight").choice.quantizer->name, "nearest");
    QVERIFY(planned(plan, model, "output.weight").choice == to("Q6_K"));
    QVERIFY(std::ranges::any_of(plan.warnings, [](const std::string& warning) {
        return warning.starts_with("28 tensors, for example token_embd.weight")
            && warning.find("gptq") != std::string::npos;
    }));
    const Recipe usual {.name = {}, .preset = wanted.preset, .rules = {}}; // the best that there is for each
    const Plan best = resolve(usual, model, &calibration);
    QCOMPARE(planned(best, model, "blk.1.attn_q.weight").choice.quantizer->name, "gptq+descent");
    QCOMPARE(planned(best, model, "output.weight").choice.quantizer->name, "nearest");
    QVERIFY(
        std::ranges::none_of(best.warnings, [](const auto& warning) { return warning.find("28") != warning.npos; }));
    calibration.inputs.erase("blk.0.attn_q.weight");
    calibration.inputs.erase("blk.1.attn_q.weight");
    QVERIFY(complaint([&] { resolve(wanted, model, &calibration); }).contains("second moments"));
    QVERIFY(complaint([&] { resolve(wanted, model, nullptr); }).contains("needs a calibration"));
    const Plan sizes = resolve(wanted, model, nullptr, Purpose::Sizes);
    QCOMPARE(sizes.storedBytes, plan.storedBytes);
}

void TestResolve::knowsWhatMethodsNeed()
{
    Recipe wanted;
    wanted.preset = findPreset("Q4_K_M");
    QVERIFY(needsOf(wanted) == Needs::SecondMoments); // usualMethod uses them
    QVERIFY(needsOf(recipe({{"*", to("Q8_0")}})) == Needs::Nothing);
    wanted.method = findQuantizer("hqq");
    QVERIFY(needsOf(wanted) == Needs::Nothing);
    wanted.method = findQuantizer("gptq");
    QVERIFY(needsOf(wanted) == Needs::SecondMoments);
    QVERIFY(needsOf(recipe({{"*", to("Q8_0")}, {"a", {findQuantizer("descent"), findBlockFormat("Q4_0"), {}}}}))
            == Needs::SecondMoments);
}

void TestResolve::saysWhatNeedsAnImportance_data()
{
    QTest::addColumn<QString>("preset");
    QTest::addColumn<QString>("format");
    QTest::addColumn<bool>("needed");
    for (const char* format : {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"})
        QTest::addRow("%s", format) << "" << format << true;
    for (const char* format : {"IQ3_S", "IQ4_XS", "Q2_K", "TQ1_0", "Q1_0", "Q4_0"})
        QTest::addRow("%s", format) << "" << format << false;
    QTest::addRow("Q2_K_S") << "Q2_K_S"
                            << "" << true;
    QTest::addRow("Q2_K as a preset") << "Q2_K"
                                      << "" << false;
}

void TestResolve::saysWhatNeedsAnImportance()
{
    QFETCH(QString, preset);
    QFETCH(QString, format);
    QFETCH(bool, needed);
    const Model model = small();
    Recipe wanted = recipe({});
    if (!format.isEmpty())
        wanted.rules.push_back({"blk.2.attn_q.weight", to(qPrintable(format))});
    if (!preset.isEmpty())
        wanted.preset = findPreset(preset.toStdString());
    const Plan blind = resolve(wanted, model, nullptr);
    QCOMPARE(blind.tooCoarse.has_value(), needed);
    QVERIFY(!needed || QString(blind.tooCoarse->what()).contains(".attn_q.weight"));
    QCOMPARE(blind.warnings.empty(), !needed);

    wanted.rules = {{"output.weight", to("IQ2_S")}, {"token_embd.weight", to("IQ2_S")}}; // which no calibration sees
    wanted.preset = nullptr;
    QVERIFY(!resolve(wanted, model, nullptr).tooCoarse);
    Calibration calibration;
    for (const Tensor& tensor : model.tensors)
        calibration.inputs[tensor.name] = {.sumSquares = Eigen::MatrixXd::Ones(1, tensor.cols()), .counts = {1}};
    wanted.rules = {{"blk.*", to("IQ1_S")}};
    QVERIFY(resolve(wanted, model, nullptr).tooCoarse);
    QVERIFY(!resolve(wanted, model, &calibration).tooCoarse);
    calibration.inputs.erase("blk.3.ffn_up.weight");
    QVERIFY(resolve(wanted, model, &calibration).tooCoarse);
}

QTEST_GUILESS_MAIN(TestResolve)
#include "tst_resolve.moc"
