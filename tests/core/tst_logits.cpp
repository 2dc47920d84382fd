#include "tests/core/forwardrun.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/tinyfamilies.h"
#include "tests/core/tinygguf.h"
#include "tests/judge/llama.h"

#include <QTest>

#include <cmath>

// The forward pass gives the logits that llama.cpp gives, with F32 weights.
class LogitsTest final : public QObject {
    Q_OBJECT

private slots:
    void equalLlamaCpps_data();
    void equalLlamaCpps();
    void ofFamiliesFromGgufOnly_data();
    void ofFamiliesFromGgufOnly();
    void ofTrainedModels_data();
    void ofTrainedModels();
};

namespace {

// Kullback-Leibler divergence of the predictions, in nats.
double divergence(std::span<const float> from, const Eigen::Ref<const Eigen::RowVectorXf>& to)
{
    const Eigen::Map<const Eigen::RowVectorXf> a(from.data(), static_cast<long>(from.size()));
    const auto logarithms = [](const Eigen::RowVectorXd& x) -> Eigen::RowVectorXd {
        const double top = x.maxCoeff();
        return x.array() - top - std::log((x.array() - top).exp().sum());
    };
    const Eigen::RowVectorXd p = logarithms(a.cast<double>()), q = logarithms(to.cast<double>());
    return (p.array().exp() * (p - q).array()).sum();
}

// file: with F32 weights.
void compare(const std::string& file, long count, double allowed)
{
    const quern::Network network = quern::openNetwork(quern::openModel(file));
    const std::vector<int> tokens = forwardrun::someTokens(static_cast<std::size_t>(count), network.sizes.vocabulary);
    const judge::Logits expected = judge::Llama::open(file, {.exact = true}).logits(tokens);
    const quern::Matrix found = forwardrun::logits(network, tokens, count);
    QCOMPARE(found.rows(), static_cast<long>(expected.rows));
    QCOMPARE(found.cols(), static_cast<long>(expected.cols));
    double largest = 0, worst = 0;
    for (std::size_t t = 0; t < expected.rows; ++t) {
        const Eigen::RowVectorXf row = found.row(static_cast<long>(t));
        for (std::size_t i = 0; i < expected.cols; ++i)
            largest = std::max(largest, static_cast<double>(std::abs(expected.row(t)[i] - row[static_cast<long>(i)])));
        worst = std::max(worst, divergence(expected.row(t), row));
    }
    QVERIFY2(found.allFinite(), "not finite");
    QVERIFY2(largest < allowed, qPrintable(QString("a logit differs by %1").arg(largest)));
    QVERIFY2(worst < 1e-6, qPrintable(QString("a token's divergence is %1").arg(worst)));
}

} // namespace

void LogitsTest::equalLlamaCpps_data()
{
    QTest::addColumn<QString>("row");
    for (const tiny::Case& c : tiny::cases())
        QTest::newRow(c.row) << c.row;
}

void LogitsTest::equalLlamaCpps()
{
    QFETCH(QString, row);
    if (const QString absent = judge::absent(); !absent.isEmpty())
        QSKIP(qPrintable(absent));
    tiny::Folder folder;
    tiny::fill(folder, row.toStdString());
    const std::string file = folder.path() + "/out.gguf";
    judge::exportAsF32(quern::openModel(folder.written()), file);
    // ggml takes GELU from a table of half floats, which adds up over the seven blocks of gemma3.
    compare(file, 80, row == "gemma3" ? 4e-3 : 2e-3); // more tokens than the windows and the original contexts
}

void LogitsTest::ofFamiliesFromGgufOnly_data()
{
    QTest::addColumn<int>("index");
    for (int i = 0; const tinygguf::Case& c : tinygguf::cases())
        QTest::newRow(c.row) << i++;
}

void LogitsTest::ofFamiliesFromGgufOnly()
{
    QFETCH(int, index);
    if (const QString absent = judge::absent(); !absent.isEmpty())
        QSKIP(qPrintable(absent));
    QTemporaryDir directory;
    const std::string file = directory.path().toStdString() + "/out.gguf";
    quern::NoProgress progress;
    quern::writeModel(tinygguf::cases()[static_cast<std::size_t>(index)].make(), file, false, progress);
    compare(file, 80, 2e-3);
}

void LogitsTest::ofTrainedModels_data()
{
    QTest::addColumn<QString>("folder");
    for (const char* name : {"stories260K", "babyllama-tok361", "prose-qwen2"})
        QTest::newRow(name) << QString(QUERN_SHARED_DIR "/models/%1").arg(name);
    QTest::newRow("demo") << QUERN_SOURCE_DIR "/resources/demo/demo";
}

void LogitsTest::ofTrainedModels()
{
    QFETCH(QString, folder);
    if (const QString absent = judge::absent(); !absent.isEmpty())
        QSKIP(qPrintable(absent));
    if (!QFile::exists(folder))
        QSKIP(qPrintable(folder + " is absent: it belongs to the shared test models"));
    QTemporaryDir directory;
    const std::string file = directory.path().toStdString() + "/out.gguf";
    judge::exportAsF32(quern::openModel(folder.toStdString()), file);
    compare(file, 128, 2e-3);
}

QTEST_GUILESS_MAIN(LogitsTest)
#include "tst_logits.moc"
