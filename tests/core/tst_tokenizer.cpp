#include "core/error.h"
#include "core/utf8.h"
#include "tests/core/tokenizermodels.h"

#include <QTest>

#include <limits>
#include <set>

using quern::MetaArray;
using quern::Metadata;
using quern::Tokenizer;

namespace {

struct Token {
    std::string text;
    float score = 0;
    std::int32_t type = 1;
};

constexpr std::int32_t kUnknownType = 2, kControlType = 3, kUserType = 4, kByteType = 6;

void setTokens(Metadata& metadata, const std::vector<Token>& tokens)
{
    std::vector<std::string> texts;
    std::vector<float> scores;
    std::vector<std::int32_t> types;
    for (const Token& token : tokens) {
        texts.push_back(token.text);
        scores.push_back(token.score);
        types.push_back(token.type);
    }
    metadata.set("tokenizer.ggml.tokens", MetaArray(texts));
    metadata.set("tokenizer.ggml.scores", MetaArray(scores));
    metadata.set("tokenizer.ggml.token_type", MetaArray(types));
}

// <unk> <s> </s>, 256 bytes from 3 on, then `more` from 259 on.
Metadata sentencePieces(const std::vector<Token>& more)
{
    std::vector<Token> tokens {{"<unk>", 0, kUnknownType}, {"<s>", 0, kControlType}, {"</s>", 0, kControlType}};
    for (int byte = 0; byte < 256; ++byte)
        tokens.push_back(
            {QString("<0x%1>").arg(byte, 2, 16, QChar('0')).toUpper().replace('X', 'x').toStdString(), 0, kByteType});
    tokens.insert(tokens.end(), more.begin(), more.end());
    Metadata metadata;
    metadata.set("tokenizer.ggml.model", std::string("llama"));
    setTokens(metadata, tokens);
    return metadata;
}
constexpr int kFirst = 259;

// The bytes, then `more` from 256 on.
Metadata byteLevel(const std::vector<Token>& more, const std::vector<std::string>& merges, const char* split = "gpt-2")
{
    std::vector<Token> tokens(256);
    for (int byte = 0; byte < 256; ++byte)
        tokens[static_cast<std::size_t>(byte)] = {tiny::byteCharacter(byte)};
    tokens.insert(tokens.end(), more.begin(), more.end());
    Metadata metadata;
    metadata.set("tokenizer.ggml.model", std::string("gpt2"));
    metadata.set("tokenizer.ggml.pre", std::string(split));
    setTokens(metadata, tokens);
    metadata.set("tokenizer.ggml.merges", MetaArray(merges));
    return metadata;
}

using Ids = std::vector<int>;

struct Stopped final : quern::Progress {
    void report(double, std::string_view) override { }
    bool cancelled() const override { return true; }
};

} // namespace

class TokenizerTest final : public QObject {
    Q_OBJECT

private slots:
    // Figures that OpenAI's own encoder gives (github.com/openai/gpt-2).
    void gpt2KnowsItsNumbers()
    {
        if (!QDir(tokens::kShared + "/models/gpt2-tokenizer").exists())
            QSKIP("../shared/models/gpt2-tokenizer is absent");
        const Tokenizer gpt2 = quern::tokenizerOf(tokens::gpt2());
        QCOMPARE(gpt2.vocabularySize(), tokens::kGpt2Tokens);
        QCOMPARE(gpt2.encode("Hello world", false, false), (Ids {15496, 995}));
        QCOMPARE(gpt2.encode("<|endoftext|>", false, true), (Ids {50256}));
        QVERIFY(gpt2.encode("<|endoftext|>", false, false).size() > 1);
        QCOMPARE(gpt2.bos(), 50256);
        QVERIFY(!gpt2.addsBos() && !gpt2.addsEos());
        QCOMPARE(gpt2.model(), "gpt2");
        QCOMPARE(gpt2.split(), "gpt-2");
    }

    void textComesBack()
    {
        const Tokenizer bytes = quern::tokenizerOf(tokens::pairs("llama-bpe"));
        const Tokenizer pieces
            = quern::tokenizerOf(sentencePieces({{"▁", -1}, {"t", -2}, {"▁t", -3}, {"<x>", 0, kUserType}}));
        std::mt19937 random(5);
        for (int i = 0; i < 300; ++i) {
            const std::string text = tokens::randomText(random, 1 + random() % 60);
            if (!quern::isUtf8(text))
                continue;
            QCOMPARE(pieces.decode(pieces.encode(text, true, false), false), text);
            QCOMPARE(bytes.decode(bytes.encode(text, false, false), false), text);
        }
        for (const char* text : {" a", "  a ", "<x> a<x>  b<x>"})
            QCOMPARE(pieces.decode(pieces.encode(text, true, false), false), std::string(text));
        QCOMPARE(pieces.decode(pieces.encode("a</s> b", true, true), true), "<s>a</s> b");
        QCOMPARE(pieces.decode(pieces.encode("a</s> b", true, true), false), "a b");
        QVERIFY_EXCEPTION_THROWN(pieces.decode(Ids {kFirst + 4}, false), quern::Error);
        QVERIFY_EXCEPTION_THROWN(pieces.decode(Ids {-1}, false), quern::Error);
    }

    void brokenTextIsMended()
    {
        const Tokenizer bytes = quern::tokenizerOf(byteLevel({}, {}));
        const auto back
            = [&](const std::string& text) { return bytes.decode(bytes.encode(text, false, false), false); };
        QCOMPARE(back("a\xFFz"), "a\uFFFDz");
        QCOMPARE(back("\xE2\x82"), "\uFFFD\uFFFD");
        QCOMPARE(back("\xC1\x81"), "A");                                // overlong
        QCOMPARE(back("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD"); // beyond Unicode
        QCOMPARE(back("\xED\xA0\x80"), "\xED\xA0\x80");                 // half a surrogate pair stays
        QCOMPARE(back(std::string("a\0b", 3)), std::string("a\0b", 3));
    }

    void theBestMergeComesFirst()
    {
        // Rank decides, then place; what is no word of the text does not merge.
        const Tokenizer bytes = quern::tokenizerOf(
            byteLevel({{"ab"}, {"bc"}, {"aa"}, {"aaa"}, {"Ġa"}}, {"b c", "a b", "a a", "aa a", "Ġ a"}));
        QCOMPARE(bytes.encode("abc", false, false), (Ids {'a', 257}));
        QCOMPARE(bytes.encode("aaa", false, false), (Ids {259}));
        QCOMPARE(bytes.encode("aaaa", false, false), (Ids {258, 258}));
        QCOMPARE(bytes.encode("ab a", false, false), (Ids {256, 260}));
        // The higher score decides, then place.
        const Tokenizer pieces = quern::tokenizerOf(sentencePieces(
            {{"a", -9}, {"b", -9}, {"c", -9}, {"ab", -3}, {"bc", -2}, {"aa", -4}, {"▁", -9}, {"▁a", -8}}));
        QCOMPARE(pieces.encode("abc", false, false), (Ids {kFirst + 7, kFirst + 4}));
        QCOMPARE(pieces.encode("aaa", false, false), (Ids {kFirst + 6, kFirst + 5, kFirst}));
        QCOMPARE(pieces.encode("é", false, false), (Ids {kFirst + 6, 3 + 0xC3, 3 + 0xA9}));
    }

    void spacesThatTokensContainKeepWordsTogether()
    {
        const std::vector<Token> letters {{"▁", -9}, {"a", -9}, {"b", -9}, {"a▁b", -1}, {"a▁", -2}, {"▁▁", -3}};
        const Tokenizer pieces = quern::tokenizerOf(sentencePieces(letters));
        QCOMPARE(pieces.encode("a b", false, false), (Ids {kFirst, kFirst + 3}));
        QCOMPARE(pieces.encode("b  b", false, false), (Ids {kFirst, kFirst + 2, kFirst + 5, kFirst + 2}));
    }

    void wholeWordsMayBeTokens()
    {
        const std::vector<Token> more {{"ab"}, {"abc"}};
        const auto ids = [&](const char* split) {
            return quern::tokenizerOf(byteLevel(more, {"a b"}, split)).encode("abc", false, false);
        };
        QCOMPARE(ids("llama-bpe"), (Ids {257}));
        QCOMPARE(ids("dbrx"), (Ids {256, 'c'})); // the same split; "abc" is out of the merges' reach
    }

    void whatCannotBeWritten()
    {
        Metadata metadata;
        metadata.set("tokenizer.ggml.model", std::string("gpt2"));
        metadata.set("tokenizer.ggml.pre", std::string("gpt-2"));
        setTokens(metadata, {{"a"}, {"b"}, {"abc"}});
        metadata.set("tokenizer.ggml.merges", MetaArray(std::vector<std::string> {"a b", "ab c"}));
        const Tokenizer bytes = quern::tokenizerOf(metadata);
        QCOMPARE(bytes.encode("ab", false, false), (Ids {0, 1})); // merged to what is no token
        QCOMPARE(bytes.encode("abc", false, false), (Ids {2}));
        QCOMPARE(bytes.encode("acé", false, false), (Ids {0}));
        metadata.set("tokenizer.ggml.model", std::string("llama"));
        const Tokenizer pieces = quern::tokenizerOf(metadata);
        metadata.set("tokenizer.ggml.unknown_token_id", std::uint32_t {2});
        QCOMPARE(quern::tokenizerOf(metadata).encode("aéx", false, false), (Ids {2, 2, 2, 0, 2, 2, 2}));
        QCOMPARE(pieces.unknown(), 0);
    }

    void specialTokensComeBeforeWords()
    {
        const Tokenizer bytes = quern::tokenizerOf(byteLevel({{"<a>", 0, kControlType},
                                                              {"<a><a>", 0, kControlType},
                                                              {"\n\n", 0, kUserType},
                                                              {"><", 0, kUserType},
                                                              {"<|im_end|>"}},
                                                             {}));
        QCOMPARE(bytes.encode("<a><a><a>x", false, true), (Ids {257, 256, 'x'})); // the longest first
        QCOMPARE(bytes.encode("<a>x\n\n\n", false, false), (Ids {'<', 'a', '>', 'x', 258, '\n'}));
        QCOMPARE(bytes.encode("<a><a>", false, false), (Ids {'<', 'a', 259, 'a', '>'}));
        QCOMPARE(bytes.encode("<|im_end|>", false, true), (Ids {260})); // ends a turn, whatever the file says
        QVERIFY(bytes.isControl(260));
        QCOMPARE(bytes.encode("<a>", false, true), (Ids {256}));
        QCOMPARE(bytes.encode("", false, true), Ids {});
    }

    void phi3TokensTakeSpaceAlong()
    {
        Metadata metadata = sentencePieces({{"▁", -1}, {"x", -1}, {"<|user|>", 0, kControlType}});
        const Ids kept {kFirst + 2, kFirst, kFirst, 3 + '\n', kFirst + 1};
        QCOMPARE(quern::tokenizerOf(metadata).encode("<|user|> \nx", false, true), kept);
        metadata.set("general.name", std::string("Phi-3 mini"));
        const Tokenizer phi3 = quern::tokenizerOf(metadata);
        QCOMPARE(phi3.encode("<|user|> \nx", false, true), (Ids {kFirst + 2, kFirst, kFirst + 1}));
        QCOMPARE(phi3.encode("<s> x", false, true), (Ids {1, kFirst, kFirst, kFirst + 1}));
    }

    void beginningAndEnd()
    {
        const auto ids = [](Metadata metadata, std::optional<bool> bos, std::optional<bool> eos) {
            if (bos)
                metadata.set("tokenizer.ggml.add_bos_token", *bos);
            if (eos)
                metadata.set("tokenizer.ggml.add_eos_token", *eos);
            return quern::tokenizerOf(metadata).encode("", true, false);
        };
        const Metadata pieces = sentencePieces({});
        QCOMPARE(ids(pieces, {}, {}), (Ids {1}));
        QCOMPARE(ids(pieces, false, true), (Ids {2}));
        QCOMPARE(ids(pieces, true, true), (Ids {1, 2}));
        Metadata bytes = byteLevel({}, {});
        QCOMPARE(ids(bytes, {}, {}), Ids {});
        QCOMPARE(ids(bytes, true, true), (Ids {11, 11})); // where llama.cpp looks if none is named
        bytes.set("tokenizer.ggml.bos_token_id", std::uint32_t {7});
        bytes.set("tokenizer.ggml.eos_token_id", std::uint32_t {8});
        QCOMPARE(ids(bytes, true, true), (Ids {7, 8}));
        bytes.set("tokenizer.ggml.bos_token_id", std::uint32_t {5000});
        QCOMPARE(ids(bytes, true, false), (Ids {11}));
        QCOMPARE(ids(byteLevel({}, {}, "llama-bpe"), {}, {}), (Ids {11}));
        QCOMPARE(quern::tokenizerOf(bytes).encode("a", false, false), (Ids {'a'}));
    }

    void spaceBeforeTheFirstWord()
    {
        Metadata metadata = sentencePieces({{"▁", -1}});
        QCOMPARE(quern::tokenizerOf(metadata).encode("x", false, false), (Ids {kFirst, 3 + 'x'}));
        metadata.set("tokenizer.ggml.add_space_prefix", false);
        const Tokenizer without = quern::tokenizerOf(metadata);
        QCOMPARE(without.encode("x", false, false), (Ids {3 + 'x'}));
        QCOMPARE(without.decode(without.encode(" x", false, false), false), " x");
    }

    void refusedAtTheDoor_data()
    {
        QTest::addColumn<QString>("row");
        QTest::addColumn<QString>("says");
        QTest::newRow("no tokenizer") << "no tokenizer"
                                      << "brings no tokenizer along";
        QTest::newRow("kind") << "kind"
                              << "kind rwkv. Known are gpt2";
        QTest::newRow("split")
            << "split"
            << "the way fancy (tokenizer.ggml.pre), which is not known here. Known are default, gpt-2";
        QTest::newRow("no tokens") << "no tokens"
                                   << "has no tokens";
        QTest::newRow("tokens of numbers") << "tokens of numbers"
                                           << "tokenizer.ggml.tokens is no array";
        QTest::newRow("same text twice") << "same text twice"
                                         << "Tokens 97 and 256 of the vocabulary are the same text, a.";
        QTest::newRow("few types") << "few types"
                                   << "tokenizer.ggml.token_type has 1 items for 256 tokens";
        QTest::newRow("few scores") << "few scores"
                                    << "tokenizer.ggml.scores has 1 items for 256 tokens";
        QTest::newRow("score") << "score"
                               << "score of token 0 (Ā) is no number"; // as byte 0 is spelled
        QTest::newRow("no merges") << "no merges"
                                   << "no list of merges";
        QTest::newRow("merge") << "merge"
                               << "Merge 1 of the tokenizer is ab; two texts";
        QTest::newRow("flag") << "flag"
                              << "add_bos_token is neither true nor false";
        QTest::newRow("no beginning") << "no beginning"
                                      << "(tokenizer.ggml.add_bos_token), but none is named";
    }
    void refusedAtTheDoor()
    {
        QFETCH(QString, row);
        QFETCH(QString, says);
        Metadata metadata = byteLevel({}, {});
        const auto set = [&](const char* key, quern::MetaValue value) { metadata.set(key, std::move(value)); };
        if (row == "no tokenizer")
            metadata = {};
        else if (row == "kind")
            set("tokenizer.ggml.model", std::string("rwkv"));
        else if (row == "split")
            set("tokenizer.ggml.pre", std::string("fancy"));
        else if (row == "no tokens")
            metadata.remove("tokenizer.ggml.tokens");
        else if (row == "tokens of numbers")
            set("tokenizer.ggml.tokens", MetaArray(std::vector<float> {1}));
        else if (row == "same text twice")
            metadata = byteLevel({{"a"}}, {});
        else if (row == "few types")
            set("tokenizer.ggml.token_type", MetaArray(std::vector<std::int32_t> {1}));
        else if (row == "few scores")
            set("tokenizer.ggml.scores", MetaArray(std::vector<float> {1}));
        else if (row == "score")
            set("tokenizer.ggml.scores", MetaArray(std::vector<float>(256, std::numeric_limits<float>::quiet_NaN())));
        else if (row == "no merges")
            metadata.remove("tokenizer.ggml.merges");
        else if (row == "merge")
            metadata = byteLevel({}, {"a b", "ab"});
        else if (row == "flag")
            set("tokenizer.ggml.add_bos_token", std::uint32_t {1});
        else
            shorten(metadata);
        try {
            quern::tokenizerOf(metadata);
            QFAIL("accepted");
        } catch (const quern::Error& error) {
            QVERIFY2(QString(error.what()).contains(says), error.what());
        }
    }

    // Time would show: a text that takes steps by the square of its length does not come to an end here.
    void noTextTakesForever_data()
    {
        QTest::addColumn<QString>("split");
        std::set<const void*> cuts;
        for (const quern::Split& split : quern::splits())
            if (cuts.insert(split.cuts.data()).second)
                QTest::newRow(std::string(split.name).c_str()) << QString::fromStdString(std::string(split.name));
    }
    void noTextTakesForever()
    {
        QFETCH(QString, split);
        const Tokenizer bytes
            = quern::tokenizerOf(byteLevel({{"aa"}, {"ĠĠ"}}, {"a a", "Ġ Ġ"}, split.toStdString().c_str()));
        for (const char* unit :
             {" ", "a", "A", "\n", "'", "\u3000", "一", "a ", "\r\n ", " \xFF", "1", "é", "\u0301"}) {
            std::string text;
            while (text.size() < 100'000)
                text += unit;
            QVERIFY(!bytes.encode(text + 'x', false, false).empty());
        }
    }

    void manySpecialTokensInATextOfThem()
    {
        std::vector<Token> lines;
        for (std::size_t n = 1; n <= 60; ++n)
            lines.push_back({std::string(n, '\n'), 0, kUserType});
        const Tokenizer pieces = quern::tokenizerOf(sentencePieces(lines));
        const Ids ids = pieces.encode(std::string(60'007, '\n'), false, false);
        QCOMPARE(ids.size(), std::size_t {1'001});
        QCOMPARE(ids.back(), kFirst + 6);
    }

    void longTextsCanBeStopped()
    {
        std::string text;
        for (int i = 0; i < 200'000; ++i)
            text += " a";
        for (const Metadata& metadata : {byteLevel({}, {}), sentencePieces({})})
            QVERIFY_EXCEPTION_THROWN(quern::tokenizerOf(metadata).encode(text, false, false, Stopped()),
                                     quern::Cancelled);
    }

    void copiesOutliveTheirOrigin()
    {
        std::optional<Tokenizer> first = quern::tokenizerOf(byteLevel({{"ab"}}, {"a b"}));
        const Tokenizer second = *first;
        first.reset();
        QCOMPARE(second.encode("ab", false, false), (Ids {256}));
    }

private:
    // Too few tokens for the default beginning.
    static void shorten(Metadata& metadata)
    {
        setTokens(metadata, {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}});
        metadata.set("tokenizer.ggml.add_bos_token", true);
    }
};

QTEST_GUILESS_MAIN(TokenizerTest)
#include "tst_tokenizer.moc"
