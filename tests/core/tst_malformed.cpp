#include "core/model.h"

#include <QTest>

#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

// Opens every hostile file of the corpus and compares with the verdict on it:
// accept (opens without a warning), warn (opens with one), reject (an Error that names the file).
class MalformedTest final : public QObject {
    Q_OBJECT

    static void addRows(const char* kind)
    {
        QTest::addColumn<QString>("path");
        QTest::addColumn<QString>("verdict");
        const fs::path folder = fs::path(QUERN_SHARED_DIR) / "malformed" / kind;
        std::ifstream verdicts(folder / "verdicts.tsv");
        std::string line;
        std::getline(verdicts, line);
        while (std::getline(verdicts, line)) {
            const auto tab = line.find('\t');
            const std::string name = line.substr(0, tab);
            QTest::newRow(name.c_str()) << QString::fromStdString((folder / name).string())
                                        << QString::fromStdString(line.substr(tab + 1));
        }
    }

    static QString missing(const char* kind)
    {
        const fs::path folder = fs::path(QUERN_SHARED_DIR) / "malformed" / kind;
        return fs::exists(folder / "verdicts.tsv")
            ? QString()
            : QString("the corpus %1 is absent").arg(QString::fromStdString(folder.string()));
    }

    static void judge()
    {
        QFETCH(QString, path);
        QFETCH(QString, verdict);
        QString found = "accept", text;
        try {
            const quern::Model model = quern::openModel(path.toStdString());
            for (const std::string& warning : model.warnings)
                text += QString::fromStdString(warning) + ' ';
            found = model.warnings.empty() ? "accept" : "warn";
        } catch (const quern::Error& error) {
            found = "reject";
            text = error.what();
            const std::string stem = fs::path(path.toStdString()).filename().string();
            QVERIFY2(text.contains(QString::fromStdString(stem)), error.what());
        }
        qInfo().noquote() << text;
        QVERIFY2(found == verdict, qPrintable(found + ": " + text));
    }

private slots:
    void gguf_data() { addRows("gguf"); }
    void gguf()
    {
        if (const QString why = missing("gguf"); !why.isEmpty())
            QSKIP(qPrintable(why));
        judge();
    }
    void safetensors_data() { addRows("safetensors"); }
    void safetensors()
    {
        if (const QString why = missing("safetensors"); !why.isEmpty())
            QSKIP(qPrintable(why));
        judge();
    }
};

QTEST_GUILESS_MAIN(MalformedTest)
#include "tst_malformed.moc"
