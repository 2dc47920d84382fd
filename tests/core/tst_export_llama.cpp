#include "tests/core/judgeprocess.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <filesystem>

namespace fs = std::filesystem;

// The four test models, opened as Hugging Face folders and written as GGUF with F32 weights, give in llama.cpp what the
// files of an independent converter give (README.md of the test models: llama-perplexity -c 256 --chunks 20).
class ExportLlamaTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;

    static fs::path folder(const QString& model)
    {
        const fs::path shared = QUERN_SHARED_DIR;
        return model == "demo" ? shared / "demo-model/demo" : shared / "models" / model.toStdString();
    }

    static QString missing(const fs::path& path)
    {
        return fs::exists(path) ? judge::absent()
                                : QString("the test model %1 is absent").arg(QString::fromStdString(path.string()));
    }

    QString written(const QString& model) const
    {
        QString file = m_folder.filePath(model + ".gguf");
        if (!QFile::exists(file))
            judge::exportAsF32(quern::openModel(folder(model)), file.toStdString());
        return file;
    }

private slots:
    void perplexityIsThatOfAnotherConverter_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<double>("expected");
        const QString shakespeare = QUERN_SHARED_DIR "/text/tinyshakespeare.txt";
        QTest::newRow("stories260K") << shakespeare << 70.9859;
        QTest::newRow("babyllama-tok361") << shakespeare << 15.2997;
        QTest::newRow("prose-qwen2") << shakespeare << 69.4900;
        QTest::newRow("demo") << QUERN_SHARED_DIR "/demo-model/demo/evaluation.txt" << 2.4840;
    }
    void perplexityIsThatOfAnotherConverter()
    {
        QFETCH(QString, text);
        QFETCH(double, expected);
        const QString model = QTest::currentDataTag();
        if (const QString why = missing(folder(model)); !why.isEmpty())
            QSKIP(qPrintable(why));
        const judge::Verdict verdict = judge::run({"perplexity", written(model), text, "256", "20"});
        QVERIFY2(verdict.works, qPrintable(verdict.text));
        // On the same file, ggml's kernels for different processors differ by up to 7e-5 (70.9802 to 70.9850 on
        // stories260K, eight variants); a wrong row order, token or space shows in the second digit.
        const double found = verdict.text.trimmed().toDouble();
        QVERIFY2(std::abs(found / expected - 1) < 1e-4, qPrintable(verdict.text));
        qInfo().noquote() << "perplexity" << QString::number(found, 'f', 4) << "published" << expected;
    }

    // From tokenizer.json, from tokenizer.model, and from both: the same tokens.
    void sourcesOfATokenizerAgree()
    {
        const fs::path source = folder("stories260K");
        if (const QString why = missing(source); !why.isEmpty())
            QSKIP(qPrintable(why));
        const QString text = " Once upon a time,  a dog\tsaid: \"Grrr\" \xC3\xA9\xC3\xA0 42!\nThe end.";
        QString first;
        for (const char* without : {"", "tokenizer.model", "tokenizer.json"}) {
            const QTemporaryDir copy;
            const fs::path target = copy.path().toStdString();
            for (const auto& entry : fs::directory_iterator(source))
                if (entry.path().filename() != without)
                    fs::copy_file(entry.path(), target / entry.path().filename());
            judge::exportAsF32(quern::openModel(target), target / "out.gguf");
            const judge::Verdict verdict = judge::run({"tokens", copy.filePath("out.gguf"), text});
            QVERIFY2(verdict.works, qPrintable(verdict.text));
            if (first.isEmpty())
                first = verdict.text;
            QCOMPARE(verdict.text, first);
        }
        QVERIFY(first.count('\n') > 20);
    }

    void storiesContinueTheirBeginning()
    {
        if (const QString why = missing(folder("stories260K")); !why.isEmpty())
            QSKIP(qPrintable(why));
        const judge::Verdict verdict = judge::run({"greedy", written("stories260K"), "Once upon a time", "40"});
        QVERIFY2(verdict.works, qPrintable(verdict.text));
        const QString expected = ", there was a little girl named Lily. She loved to play outside in the park. One day";
        QVERIFY2(verdict.text.startsWith(expected), qPrintable(verdict.text));
    }
};

QTEST_GUILESS_MAIN(ExportLlamaTest)
#include "tst_export_llama.moc"
