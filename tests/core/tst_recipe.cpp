// Recipes as text, and the patterns in them.
#include "core/pattern.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "tests/core/recipes.h"
#include "tests/core/testfiles.h"

#include <QTest>

using namespace quern;
using namespace recipes;
using testfiles::complaint;

class TestRecipe : public QObject {
    Q_OBJECT

private slots:
    void matchesNames_data();
    void matchesNames();
    void survivesHostilePatterns();
    void refusesBadPatterns_data();
    void refusesBadPatterns();
    void readsWhatItWrites();
    void refusesBadRecipes_data();
    void refusesBadRecipes();
};

void TestRecipe::matchesNames_data()
{
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("expected");
    const auto row = [](const char* pattern, const char* name, bool expected) {
        QTest::addRow("%s on %s", pattern, name) << pattern << name << expected;
    };
    row("*", "blk.0.attn_q.weight", true);
    row("blk.*.ffn_down.weight", "blk.12.ffn_down.weight", true);
    row("blk.*.ffn_down.weight", "blk.12.ffn_up.weight", false);
    row("blk.?.attn_q.weight", "blk.1.attn_q.weight", true);
    row("blk.?.attn_q.weight", "blk.12.attn_q.weight", false);
    row("blk.0", "blk.0.attn_q.weight", false);
    row("*attn*weight*", "blk.0.attn_q.weight", true);
    row("a*b*c", "aXbYbZc", true);
    row("a*b*c", "aXbYbZ", false);
    row("?", "", false);
    row("output.weight", "output.weight", true);
    row("outputxweight", "output.weight", false);
    row("/attn_[qk]/", "blk.0.attn_k.weight", true);
    row("/attn_[qk]/", "blk.0.attn_v.weight", false);
    row("/^blk\\.(0|1)\\./", "blk.1.attn_v.weight", true);
    row("/^blk\\.(0|1)\\./", "blk.10.attn_v.weight", false);
    row("/", "/", true);
}

void TestRecipe::matchesNames()
{
    QFETCH(QString, pattern);
    QFETCH(QString, name);
    QFETCH(bool, expected);
    QCOMPARE(matches({pattern.toStdString(), {}}, name.toStdString()), expected);
}

void TestRecipe::survivesHostilePatterns()
{
    const std::string name(5000, 'a');
    std::string stars;
    for (int i = 0; i < 400; ++i)
        stars += "*a";
    QVERIFY(!Pattern(stars + 'b').matches(name));
    QVERIFY(complaint([&] { Pattern("/(a|aa)+[bc]/").matches(name); }).contains("simpler"));
    for (const char* pattern : {"/(a+)+b/", "/(?R)?a(?R)?b/"}) { // found to be impossible soon, or given up
        bool matched = true;
        const QString said = complaint([&] { matched = Pattern(pattern).matches(name); });
        QVERIFY2(said.isEmpty() ? !matched : said.contains("simpler") && said.contains(pattern), qPrintable(said));
    }
    QVERIFY(
        complaint([&] { Pattern('/' + std::string(400, '(') + std::string(400, ')') + '/'); }).contains("expression"));
}

void TestRecipe::refusesBadPatterns_data()
{
    QTest::addColumn<QString>("pattern");
    QTest::addRow("empty") << "";
    QTest::addRow("bracket") << "/a(b/";
    QTest::addRow("nothing to repeat") << "/*a/";
    QTest::addRow("long") << QString(2000, 'a');
}

void TestRecipe::refusesBadPatterns()
{
    QFETCH(QString, pattern);
    QVERIFY_EXCEPTION_THROWN(Pattern(pattern.toStdString()), Error);
}

void TestRecipe::readsWhatItWrites()
{
    Recipe written
        = recipe({{"blk.*.ffn_down.weight", to("Q8_0")}, {"/attn_\"q\"/", {}}, {"M\xC3\xBChle", to("Q4_0")}});
    written.preset = findPreset("Q4_K_M");
    written.method = findQuantizer("gptq+descent");
    written.settings["passes"] = 7;
    written.rules[0].choice = {findQuantizer("gptq"), findBlockFormat("Q5_K"), {{"damping", 0.05}}};
    written.rewrites = {{findRewrite("smoothquant"), {}}, {findRewrite("awq"), {{"ratios", 7}}}};
    for (const auto& sequential : {std::optional<Settings>(), std::optional<Settings>(Settings {}),
                                   std::optional<Settings>(Settings {{"trust", 0.25}})})
        for (const int indent : {-1, 2}) {
            written.sequential = sequential;
            QVERIFY(recipeFromJson(toJson(written, indent), "memory") == written);
        }
    QVERIFY(!(toJson(written, -1).find('\n') != std::string::npos));
    QVERIFY(recipeFromJson(R"({"quern_recipe":1,"rewrites":[],"rules":[{"match":"*","format":"q8_0"}]})", "x")
                .rules[0]
                .choice
            == to("Q8_0"));
}

void TestRecipe::refusesBadRecipes_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("says");
    const auto row
        = [](const char* name, const char* json, const char* says) { QTest::addRow("%s", name) << json << says; };
    row("no JSON", "{\n  \"quern_recipe\": 1,,}", "2:21");
    row("empty", "", "JSON");
    row("no object", "[1]", "object");
    row("not ours", "{}", "quern_recipe");
    row("version", R"({"quern_recipe":2})", "2");
    row("version as text", R"({"quern_recipe":"1"})", "quern_recipe");
    row("unknown key", R"({"quern_recipe":1,"colour":1})", "colour");
    row("key twice", R"({"quern_recipe":1,"name":"a","name":"b"})", "name");
    row("rewrites", R"({"quern_recipe":1,"rewrites":"awq"})", "rewrites");
    row("rewrite", R"({"quern_recipe":1,"rewrites":[{"name":"awq"},{"name":"quarrel"}]})", "rewrites[1]");
    row("rewrite without a name", R"({"quern_recipe":1,"rewrites":[{"settings":{}}]})", "name");
    row("rewrite's key", R"({"quern_recipe":1,"rewrites":[{"name":"awq","colour":1}]})", "colour");
    row("rewrite's setting", R"({"quern_recipe":1,"rewrites":[{"name":"awq","settings":{"alpha":1}}]})", "alpha");
    row("sequential", R"({"quern_recipe":1,"sequential":true})", "sequential");
    row("sequential's key", R"({"quern_recipe":1,"sequential":{"colour":1}})", "colour");
    row("sequential's setting", R"({"quern_recipe":1,"sequential":{"trust":2}})", "sequential.trust");
    row("preset", R"({"quern_recipe":1,"preset":"Q9"})", "Q9");
    row("name", R"({"quern_recipe":1,"name":7})", "name");
    row("rules", R"({"quern_recipe":1,"rules":{}})", "rules");
    row("no match", R"({"quern_recipe":1,"rules":[{"format":"Q8_0"}]})", "rules[0]");
    row("unknown rule key", R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q8_0"},{"match":"*","bits":4}]})",
        "rules[1]");
    row("format", R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q99"}]})", "Q99");
    row("method", R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q8_0","method":"magic"}]})", "magic");
    row("method of a preset", R"({"quern_recipe":1,"preset":"Q4_0","method":"magic"})", "magic");
    row("method without a preset", R"({"quern_recipe":1,"method":"gptq"})", "without \"preset\"");
    row("settings without a method", R"({"quern_recipe":1,"preset":"Q4_0","settings":{}})", "without \"method\"");
    row("setting of a preset's method",
        R"({"quern_recipe":1,"preset":"Q4_0","method":"gptq","settings":{"damping":2}})", "settings.damping");
    row("no format", R"({"quern_recipe":1,"rules":[{"match":"*","method":"nearest"}]})", "no format");
    row("copy with format", R"({"quern_recipe":1,"rules":[{"match":"*","method":"copy","format":"Q8_0"}]})", "copies");
    row("setting", R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q8_0","settings":{"damping":0.1}}]})",
        "damping");
    row("settings", R"({"quern_recipe":1,"rules":[{"match":"*","format":"Q8_0","settings":[]}]})", "rules[0].settings");
    row("pattern", R"({"quern_recipe":1,"rules":[{"match":"/(/","format":"Q8_0"}]})", "/(/");
    row("deep", R"({"quern_recipe":1,"name":[[[[[[[[[[1]]]]]]]]]]})", "levels");
    row("huge number", R"({"quern_recipe":1e999})", "too large");
    row("bad text", "{\"quern_recipe\":1,\"name\":\"\xFF\"}", "JSON");
}

void TestRecipe::refusesBadRecipes()
{
    QFETCH(QString, json);
    QFETCH(QString, says);
    const bool latin = QString(QTest::currentDataTag()) == "bad text";
    const std::string text = latin ? std::string("{\"quern_recipe\":1,\"name\":\"\xFF\"}") : json.toStdString();
    const QString said = complaint([&] { recipeFromJson(text, "mine.json"); });
    QVERIFY2(said.contains(says), qPrintable(said));
    QVERIFY2(said.contains("mine.json") || said.contains("pattern"), qPrintable(said));
}

QTEST_GUILESS_MAIN(TestRecipe)
#include "tst_recipe.moc"
