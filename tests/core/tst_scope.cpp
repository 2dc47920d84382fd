#include "core/commandline.h"
#include "core/preset.h"
#include "core/scope.h"

#include <QtTest>

using namespace quern;

class TestScope : public QObject {
    Q_OBJECT

private slots:
    void patternsReachAsFarAsTheySay_data();
    void patternsReachAsFarAsTheySay();
    void newRuleMakesOlderOnesVoid_data();
    void newRuleMakesOlderOnesVoid();
    void commandLineSaysTheRecipe();
    void commandLineSaysAFormatForAll();
    void commandLineNamesAFileForWhatOptionsCannotSay();
};

namespace {

Choice choice(std::string_view format)
{
    return {findQuantizer("nearest"), findBlockFormat(format), {}};
}

} // namespace

void TestScope::patternsReachAsFarAsTheySay_data()
{
    QTest::addColumn<int>("reach");
    QTest::addColumn<QString>("tensor");
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<QStringList>("reached");
    QTest::addColumn<QStringList>("spared");

    const QString down = "blk.3.ffn_down.weight";
    QTest::newRow("tensor") << int(Reach::Tensor) << down << down << QStringList {down}
                            << QStringList {"blk.13.ffn_down.weight", "blk.3.ffn_up.weight"};
    QTest::newRow("kind") << int(Reach::Kind) << down << "blk.*.ffn_down.weight"
                          << QStringList {down, "blk.13.ffn_down.weight"} << QStringList {"blk.3.ffn_up.weight"};
    QTest::newRow("layer") << int(Reach::Layer) << down << "blk.3.*" << QStringList {down, "blk.3.ffn_up.weight"}
                           << QStringList {"blk.31.ffn_up.weight", "output.weight"};
    QTest::newRow("all") << int(Reach::All) << down << "*" << QStringList {down, "output.weight"} << QStringList {};
    QTest::newRow("kind outside the layers")
        << int(Reach::Kind) << "output.weight"
        << "output.weight" << QStringList {"output.weight"} << QStringList {"output_norm.weight"};
}

void TestScope::patternsReachAsFarAsTheySay()
{
    QFETCH(int, reach);
    QFETCH(QString, tensor);
    QFETCH(QString, pattern);
    QFETCH(QStringList, reached);
    QFETCH(QStringList, spared);
    const Rule rule {patternFor(static_cast<Reach>(reach), tensor.toStdString()), {}};
    QCOMPARE(QString::fromStdString(rule.pattern), pattern);
    for (const QString& name : reached)
        QVERIFY2(matches(rule, name.toStdString()), qPrintable(name));
    for (const QString& name : spared)
        QVERIFY2(!matches(rule, name.toStdString()), qPrintable(name));
}

void TestScope::newRuleMakesOlderOnesVoid_data()
{
    QTest::addColumn<QStringList>("before");
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<QStringList>("after");

    const QString tensor = "blk.3.ffn_down.weight", kind = "blk.*.ffn_down.weight", layer = "blk.3.*";
    QTest::newRow("same tensor") << QStringList {tensor} << tensor << QStringList {tensor};
    QTest::newRow("kind over tensor") << QStringList {tensor} << kind << QStringList {kind};
    QTest::newRow("tensor over kind") << QStringList {kind} << tensor << QStringList {kind, tensor};
    QTest::newRow("layer over tensor") << QStringList {tensor} << layer << QStringList {layer};
    QTest::newRow("layer crosses kind") << QStringList {kind} << layer << QStringList {kind, layer};
    QTest::newRow("all over everything") << QStringList {tensor, kind, layer, "/ffn_.*/"} << "*" << QStringList {"*"};
    QTest::newRow("expressions are kept") << QStringList {"/ffn_.*/"} << kind << QStringList {"/ffn_.*/", kind};
}

void TestScope::newRuleMakesOlderOnesVoid()
{
    QFETCH(QStringList, before);
    QFETCH(QString, pattern);
    QFETCH(QStringList, after);
    Recipe recipe;
    for (const QString& old : before)
        recipe.rules.push_back({old.toStdString(), choice("Q8_0")});
    recipe = withRule(recipe, {pattern.toStdString(), choice("F16")});
    QStringList patterns;
    for (const Rule& rule : recipe.rules)
        patterns << QString::fromStdString(rule.pattern);
    QCOMPARE(patterns, after);
    QVERIFY(recipe.rules.back().choice == choice("F16"));
}

void TestScope::commandLineSaysTheRecipe()
{
    Recipe recipe;
    recipe.preset = findPreset("Q4_K_M");
    recipe.rules.push_back({"blk.*.ffn_down.weight", choice("Q8_0")});
    QVERIFY(sayable(recipe));
    QCOMPARE(commandLine(recipe, {.model = "/m/it's here", .target = "out.gguf", .recipe = {}, .imatrix = "i.dat"}),
             std::string("quern-cli quantize '/m/it'\\''s here' -o out.gguf --preset Q4_K_M "
                         "--rule 'blk.*.ffn_down.weight=Q8_0:nearest' --imatrix i.dat"));
}

void TestScope::commandLineSaysAFormatForAll()
{
    Recipe recipe;
    recipe.rules = {{"*", choice("INT4_G128_SYM")}, {"output.weight", {}}};
    recipe.rules.front().choice.settings = {{"damping", 0.1}, {"steps", 1e6}};
    QVERIFY(sayable(recipe));
    QCOMPARE(commandLine(recipe,
                         {.model = "-m",
                          .target = "o",
                          .recipe = {},
                          .imatrix = {},
                          .overwrite = true,
                          .zeroNonFinite = true,
                          .coarse = true}),
             std::string("quern-cli quantize ./-m -o o --format INT4_G128_SYM --method nearest --set damping=0.1 "
                         "--set steps=1e+06 --rule output.weight=copy --zero-nonfinite --coarse --overwrite"));
}

void TestScope::commandLineNamesAFileForWhatOptionsCannotSay()
{
    Recipe recipe;
    QVERIFY(!sayable(recipe)); // nothing at all
    recipe.preset = findPreset("Q4_K_M");
    QVERIFY(sayable(recipe));
    recipe.rules.push_back({"output.weight", choice("Q8_0")});
    recipe.rules.back().choice.settings["damping"] = 0.01;
    QVERIFY(!sayable(recipe)); // settings of one rule among several
    QCOMPARE(commandLine(recipe, {.model = "m", .target = "o.gguf", .recipe = "r.json", .imatrix = {}}),
             std::string("quern-cli quantize m -o o.gguf --recipe r.json"));
}

QTEST_GUILESS_MAIN(TestScope)
#include "tst_scope.moc"
