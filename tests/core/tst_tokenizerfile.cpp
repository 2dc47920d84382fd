#include "core/huggingface.h"
#include "core/pretokenizer.h"
#include "tests/core/tinypieces.h"

#include <QTest>

#include <limits>

using tiny::Json;

namespace {

QString obstacle(const quern::Model& model)
{
    return model.obstacle ? model.obstacle->what() : "";
}

} // namespace

class TokenizerFileTest final : public QObject {
    Q_OBJECT

private slots:
    void knowsHowTextIsSplit_data()
    {
        QTest::addColumn<QString>("json");
        QTest::addColumn<bool>("ignoreMerges");
        QTest::addColumn<QString>("name");
        const auto split = [](const char* pattern, const char* behavior = "Isolated", bool invert = false) {
            return Json {
                {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}, {"invert", invert}};
        };
        const auto sequence = [](const std::vector<Json>& steps) {
            return QString::fromStdString(Json {{"type", "Sequence"}, {"pretokenizers", steps}}.dump());
        };
        const Json bytes {{"type", "ByteLevel"}, {"use_regex", false}}, gpt2 {{"type", "ByteLevel"}};
        const Json digits {{"type", "Digits"}, {"individual_digits", true}};
        constexpr const char *kLlama3
            = R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
            *kQwen2
            = R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
        QTest::newRow("gpt-2") << sequence({gpt2}) << false << "gpt-2";
        QTest::newRow("SmolLM") << sequence({digits, gpt2}) << false << "smollm";
        QTest::newRow("Llama 3") << sequence({split(kLlama3), bytes}) << true << "llama-bpe";
        QTest::newRow("Phi 4") << sequence({split(kLlama3, "Removed", true), bytes}) << false << "dbrx";
        QTest::newRow("Qwen 2") << sequence({split(kQwen2), bytes}) << false << "qwen2";
        QTest::newRow("unknown pattern") << sequence({split("\\w+"), bytes}) << false << "";
        QTest::newRow("other behavior") << sequence({split(kQwen2, "Removed"), bytes}) << false << "";
        QTest::newRow("one step more") << sequence({digits, split(kQwen2), bytes}) << false << "";
    }
    void knowsHowTextIsSplit()
    {
        QFETCH(QString, json);
        QFETCH(bool, ignoreMerges);
        QFETCH(QString, name);
        tiny::Folder folder;
        folder.tokenizer = tiny::byteLevelTokenizer();
        folder.tokenizer["pre_tokenizer"] = Json::parse(json.toStdString());
        folder.tokenizer["model"]["ignore_merges"] = ignoreMerges;
        folder.write("tokenizer.json", folder.tokenizer.dump());
        const quern::TokenizerFile file = quern::readTokenizerFile(folder.path() + "/tokenizer.json");
        QCOMPARE(QString::fromUtf8(quern::preTokenizerName(file)), name);
    }

    // Every one opens, for its tensors, and cannot be exported; the sentence names what is wrong.
    void hostileTokenizersAreObstacles_data()
    {
        QTest::addColumn<QString>("patch"); // RFC 6902
        QTest::addColumn<QString>("says");
        QTest::newRow("no model") << R"([{"op":"remove","path":"/model"}])"
                                  << "no model";
        QTest::newRow("unigram") << R"([{"op":"replace","path":"/model/type","value":"Unigram"}])"
                                 << "Unigram";
        QTest::newRow("vocabulary a list") << R"([{"op":"replace","path":"/model/vocab","value":[]}])"
                                           << "model.vocab";
        QTest::newRow("number a text") << R"([{"op":"replace","path":"/model/vocab/the","value":"7"}])"
                                       << "model.vocab.the";
        QTest::newRow("number of 2^64-1")
            << R"([{"op":"replace","path":"/model/vocab/the","value":18446744073709551615}])"
            << "model.vocab.the";
        QTest::newRow("number negative") << R"([{"op":"replace","path":"/model/vocab/the","value":-1}])"
                                         << "\"the\"";
        QTest::newRow("number twice") << R"([{"op":"replace","path":"/model/vocab/the","value":5}])"
                                      << "number 5";
        QTest::newRow("text twice") << R"([{"op":"replace","path":"/added_tokens/0/content","value":"the"}])"
                                    << "twice";
        QTest::newRow("merge of one") << R"([{"op":"add","path":"/model/merges/-","value":"the"}])"
                                      << "model.merges[3]";
        QTest::newRow("merge of three") << R"([{"op":"add","path":"/model/merges/-","value":["a","b","c"]}])"
                                        << "model.merges[3]";
        QTest::newRow("merge of strangers") << R"([{"op":"add","path":"/model/merges/-","value":"x y"}])"
                                            << "\"xy\"";
        QTest::newRow("merge a number") << R"([{"op":"add","path":"/model/merges/-","value":7}])"
                                        << "model.merges[3]";
        QTest::newRow("added without number") << R"([{"op":"remove","path":"/added_tokens/0/id"}])"
                                              << "added_tokens[0].id";
        QTest::newRow("added a number") << R"([{"op":"replace","path":"/added_tokens/0","value":7}])"
                                        << "added_tokens[0]";
        QTest::newRow("affixes") << R"([{"op":"add","path":"/model/end_of_word_suffix","value":"</w>"}])"
                                 << "</w>";
        QTest::newRow("a step without type") << R"([{"op":"remove","path":"/pre_tokenizer/type"}])"
                                             << "pre_tokenizer.type";
    }
    void hostileTokenizersAreObstacles()
    {
        QFETCH(QString, patch);
        QFETCH(QString, says);
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        folder.tokenizer = folder.tokenizer.patch(Json::parse(patch.toStdString()));
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY(model.find("token_embd.weight"));
        QVERIFY2(obstacle(model).contains(says), qPrintable(obstacle(model)));
    }

    void tokenizersThatAreNoJsonAreObstacles()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        const std::string whole = folder.tokenizer.dump();
        folder.tokenizer = nullptr;
        for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2), std::string(100000, '['),
                                        std::string("{\"model\": 1e999}"), std::string("[1]")}) {
            folder.write("tokenizer.json", text);
            const quern::Model model = quern::openModel(folder.written());
            QVERIFY2(obstacle(model).contains("tokenizer.json"), qPrintable(obstacle(model)));
        }
    }

    void aModelWithoutTokenizerCannotBeExported()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        folder.tokenizer = nullptr;
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY2(obstacle(model).contains("tokenizer.json"), qPrintable(obstacle(model)));
    }

    void damagedSentencePiecesAreErrors()
    {
        const std::string whole = tiny::sentencePieceModel();
        QCOMPARE(tiny::pieces(whole).pieces.size(), std::size_t {tiny::kTokens});
        for (std::size_t cut = 1; cut < 15; ++cut) // within the last piece
            QVERIFY_EXCEPTION_THROWN(tiny::pieces(whole.substr(0, whole.size() - cut)), quern::Error);
        QVERIFY_EXCEPTION_THROWN(tiny::pieces(""), quern::Error);
        QVERIFY_EXCEPTION_THROWN(tiny::pieces(tiny::piece("a", 0, 7)), quern::Error);
        QVERIFY_EXCEPTION_THROWN(tiny::pieces(tiny::piece("a", std::numeric_limits<float>::quiet_NaN(), 1)),
                                 quern::Error);
        QVERIFY_EXCEPTION_THROWN(tiny::pieces("\x0A" + std::string(11, '\xFF')), quern::Error); // a length without end
        QVERIFY_EXCEPTION_THROWN(tiny::pieces("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"), quern::Error);
        QVERIFY_EXCEPTION_THROWN(tiny::pieces("\x0B"), quern::Error); // a group
    }
};

QTEST_GUILESS_MAIN(TokenizerFileTest)
#include "tst_tokenizerfile.moc"
