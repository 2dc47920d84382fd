#include "tests/core/judgeprocess.h"
#include "tests/core/tokenizermodels.h"

#include <QTemporaryDir>
#include <QTest>

#include <set>

namespace {

// The two programs' tokens of a text, and where they part.
QString difference(const quern::Tokenizer& ours, const judge::Llama& theirs, const std::string& text, bool addSpecial,
                   bool parseSpecial)
{
    const std::vector<int> found = ours.encode(text, addSpecial, parseSpecial);
    const judge::Tokens expected = theirs.tokenize(text, addSpecial, parseSpecial);
    if (found == expected)
        return {};
    const auto at = std::ranges::mismatch(found, expected).in1 - found.begin();
    std::string before;
    for (long i = 0; i < at; ++i)
        before += ours.piece(found[static_cast<std::size_t>(i)]);
    const auto shown = [&](const std::vector<int>& tokens) {
        QString line;
        for (auto i = static_cast<std::size_t>(at); i < tokens.size() && i < static_cast<std::size_t>(at) + 6; ++i)
            line += QString::number(tokens[i]) + '[' + QString::fromStdString(quern::toText(ours.piece(tokens[i])))
                + "] ";
        return line;
    };
    return QString("token %1, after \"%2\": %3 instead of %4 in %5")
        .arg(at)
        .arg(QString::fromStdString(
                 quern::toText(before.substr(before.size() - std::min<std::size_t>(before.size(), 20)))),
             shown(found), shown(expected), QString::fromStdString(quern::toText(text.substr(0, 200))));
}

} // namespace

class TokenizerLlamaTest final : public QObject {
    Q_OBJECT

private slots:
    void init()
    {
        if (const QString absent = judge::absent(); !absent.isEmpty())
            QSKIP(qPrintable(absent));
    }

    void modelsReadTextsLikeLlamaCpp_data()
    {
        QTest::addColumn<QString>("model");
        for (const char* model : {"demo", "stories260K", "babyllama-tok361", "prose-qwen2", "gpt2-tokenizer"})
            QTest::newRow(model) << model;
    }
    void modelsReadTextsLikeLlamaCpp()
    {
        QFETCH(QString, model);
        const bool demo = model == "demo";
        const QString folder
            = demo ? QStringLiteral(QUERN_SOURCE_DIR "/resources/demo/demo") : tokens::kShared + "/models/" + model;
        const QString texts = tokens::kShared + "/text";
        if (!QDir(folder).exists() || !QDir(texts).exists())
            QSKIP("../shared/models and ../shared/text are absent");
        const quern::Metadata metadata
            = model == "gpt2-tokenizer" ? tokens::gpt2() : quern::openModel(folder.toStdString()).metadata;
        const QTemporaryDir temporary;
        const std::string file = temporary.filePath("tokenizer.gguf").toStdString();
        tokens::writeTokenizer(metadata, file);
        const quern::Tokenizer ours = quern::tokenizerOf(metadata);
        const judge::Llama theirs = judge::Llama::openTokenizer(file);
        QCOMPARE(ours.vocabularySize(), theirs.vocabulary());
        for (const QString& name : QDir(texts).entryList(QDir::Files)) {
            QFile text(texts + '/' + name);
            QVERIFY(text.open(QIODevice::ReadOnly));
            const QString different = difference(ours, theirs, text.readAll().toStdString(), true, false);
            QVERIFY2(different.isEmpty(), qPrintable(name + ": " + different));
        }
        std::mt19937 random(3);
        for (int i = 0; i < 300; ++i) {
            const QString different
                = difference(ours, theirs, tokens::randomText(random, 1 + random() % 100), i % 2 == 0, i % 3 == 0);
            QVERIFY2(different.isEmpty(), qPrintable(different));
        }
        for (int token = 0; token < int(ours.vocabularySize()); ++token) {
            QCOMPARE(ours.piece(token), theirs.piece(token, true));
            QCOMPARE(ours.isControl(token) ? "" : ours.piece(token), theirs.piece(token, false));
        }
    }

    void everySplitCutsLikeLlamaCpp_data()
    {
        QTest::addColumn<QString>("name");
        std::set<const void*> cuts;
        for (const quern::Split& split : quern::splits())
            if (cuts.insert(split.cuts.data()).second)
                QTest::newRow(std::string(split.name).c_str()) << QString::fromStdString(std::string(split.name));
    }
    void everySplitCutsLikeLlamaCpp()
    {
        QFETCH(QString, name);
        const quern::Metadata metadata = tokens::pairs(name.toStdString());
        const QTemporaryDir folder;
        const std::string file = folder.filePath("tokenizer.gguf").toStdString();
        tokens::writeTokenizer(metadata, file);
        const quern::Tokenizer ours = quern::tokenizerOf(metadata);
        const judge::Llama theirs = judge::Llama::openTokenizer(file);
        std::mt19937 random(7);
        int bad = 0;
        for (int i = 0; i < 60; ++i) {
            const std::string text = tokens::randomText(random, i < 40 ? 1 + random() % 12 : 1000);
            const QString different = difference(ours, theirs, text, i % 2 == 0, i % 3 == 0);
            if (!different.isEmpty() && ++bad < 4)
                qWarning().noquote() << different;
        }
        QCOMPARE(bad, 0);
    }
};

QTEST_GUILESS_MAIN(TokenizerLlamaTest)
#include "tst_tokenizer_llama.moc"
