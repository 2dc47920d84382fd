#include "core/evaluationfile.h"

#include "core/error.h"
#include "core/gguf.h"
#include "core/mappedfile.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>

using namespace quern;
namespace fs = std::filesystem;

namespace {

// Numbers that decimals of a few digits would not give back.
Evaluation evaluation(bool compared)
{
    Evaluation made;
    made.context = 12;
    made.chunks = 4;
    made.text = "a text";
    constexpr int kScored = 4 * 5;
    std::vector<Prediction> predictions;
    predictions.reserve(kScored);
    for (int i = 0; i < kScored; ++i)
        predictions.push_back({2 + std::sin(i), 2 + std::sin(i) - 0.01 * std::cos(3 * i), std::exp(-i), i % 3 != 0});
    made.predictions = summary(predictions, compared);
    if (compared)
        made.hiddenErrors = {1.0 / 3, 1e-7, 0};
    return made;
}

struct Part {
    std::string name;
    std::vector<double> values;
};

// A file as writeEvaluation makes it, its numbers at hand.
struct File {
    explicit File(const fs::path& path)
    {
        const auto file = MappedFile::open(path);
        const gguf::Directory directory = gguf::directory(file->bytes(), "sound");
        metadata = directory.metadata;
        for (const Tensor& tensor : directory.tensors) {
            parts.push_back({tensor.name, std::vector<double>(static_cast<std::size_t>(tensor.count()))});
            std::memcpy(parts.back().values.data(), tensor.bytes.data(), tensor.bytes.size());
        }
    }

    std::vector<double>& values(std::string_view name) { return std::ranges::find(parts, name, &Part::name)->values; }

    std::vector<std::byte> bytes() const
    {
        std::vector<gguf::TensorInfo> infos;
        for (const Part& part : parts)
            infos.push_back({part.name, {static_cast<long>(part.values.size())}, findBlockFormat(format)});
        const gguf::Layout layout = gguf::layout(metadata, infos);
        std::vector<std::byte> all(layout.fileBytes);
        std::ranges::copy(layout.header, all.begin());
        for (std::size_t i = 0; i < parts.size(); ++i)
            std::ranges::copy(std::as_bytes(std::span(parts[i].values)),
                              all.begin() + static_cast<std::ptrdiff_t>(layout.offsets[i]));
        return all;
    }

    Metadata metadata;
    std::vector<Part> parts;
    const char* format = "F64";
};

using Harm = std::function<void(File&)>;

Harm set(const char* name, std::size_t at, double value)
{
    return [=](File& file) { file.values(name).at(at) = value; };
}

} // namespace

class EvaluationFileTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    fs::path at(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }

private slots:
    void readsWhatItWrote_data();
    void readsWhatItWrote();
    void replacesNothingUnasked();
    void refusesDamage_data();
    void refusesDamage();
    void refusesEveryShorterFile();
};

void EvaluationFileTest::readsWhatItWrote_data()
{
    QTest::addColumn<bool>("compared");
    QTest::newRow("compared") << true;
    QTest::newRow("alone") << false;
}

void EvaluationFileTest::readsWhatItWrote()
{
    QFETCH(bool, compared);
    const Evaluation made = evaluation(compared);
    writeEvaluation(made, at("e.gguf"), true);
    const Evaluation read = readEvaluation(at("e.gguf"));
    QCOMPARE(read.text, made.text);
    QCOMPARE(read.context, made.context);
    QCOMPARE(read.chunks, made.chunks);
    QCOMPARE(read.hiddenErrors, made.hiddenErrors);
    const PredictionSummary &a = read.predictions, &b = made.predictions;
    QCOMPARE(a.tokens, b.tokens);
    QCOMPARE(a.compared, compared);
    QVERIFY(a.perplexity == b.perplexity && a.referencePerplexity == b.referencePerplexity);
    const auto same = [](const Mean& x, const Mean& y) { return x.value == y.value && x.error == y.error; };
    QVERIFY(same(a.lnPerplexity, b.lnPerplexity) && same(a.lnRatio, b.lnRatio) && same(a.divergence, b.divergence));
    QVERIFY(same(a.change, b.change) && same(a.sameTop, b.sameTop));
    QVERIFY(a.changeRms == b.changeRms && a.correlation == b.correlation);
    QVERIFY(a.divergences == b.divergences && a.changes == b.changes);
    QCOMPARE(a.divergences.size(), compared ? std::size_t {20} : 0);
}

void EvaluationFileTest::replacesNothingUnasked()
{
    writeEvaluation(evaluation(true), at("kept.gguf"), false);
    QVERIFY_THROWS_EXCEPTION(Error, writeEvaluation(evaluation(false), at("kept.gguf"), false));
    QVERIFY(readEvaluation(at("kept.gguf")).predictions.compared);
    QVERIFY(!fs::exists(at("kept.gguf.part")));
}

void EvaluationFileTest::refusesDamage_data()
{
    QTest::addColumn<Harm>("harm");
    QTest::addColumn<QString>("says");
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto setKey = [](const char* key, const MetaValue& value) -> Harm {
        return [=](File& file) { file.metadata.set(key, value); };
    };
    QTest::newRow("another file") << setKey("general.type", std::string("imatrix")) << "no evaluation";
    QTest::newRow("a newer version") << setKey("quern.evaluation.version", std::uint32_t {2}) << "no evaluation";
    QTest::newRow("no chunks") << setKey("quern.evaluation.chunks", std::int64_t {0}) << "chunks is missing or no";
    QTest::newRow("a negative context") << setKey("quern.evaluation.context", std::int64_t {-12}) << "context is";
    QTest::newRow("chunks beyond all files")
        << setKey("quern.evaluation.chunks", std::int64_t {2147483647}) << "10737418235 as F64";
    QTest::newRow("one prediction too few")
        << Harm([](File& file) { file.values("divergences").pop_back(); }) << "divergences holds 19 numbers";
    QTest::newRow("one figure too many") << Harm([](File& file) { file.values("figures").push_back(0); })
                                         << "figures holds 15 numbers";
    QTest::newRow("floats") << Harm([](File& file) { file.format = "I64"; }) << "as I64";
    QTest::newRow("no figures") << Harm([](File& file) { file.parts.erase(file.parts.begin()); }) << "figures is";
    QTest::newRow("a perplexity that is no number") << set("figures", 0, nan) << "figures holds nan";
    QTest::newRow("a negative error") << set("figures", 2, -0.5) << "figures holds -0.5";
    QTest::newRow("more than all at the top") << set("figures", 12, 1.5) << "figures holds 1.5";
    QTest::newRow("a divergence that is no number") << set("divergences", 0, nan) << "divergences holds nan";
    QTest::newRow("divergences in disorder") << set("divergences", 0, 7) << "do not ascend";
    QTest::newRow("a change of more than 1") << set("changes", 19, 1.25) << "changes holds 1.25";
    QTest::newRow("a negative hidden error") << set("hidden_errors", 1, -1) << "hidden_errors holds -1";
}

void EvaluationFileTest::refusesDamage()
{
    QFETCH(Harm, harm);
    QFETCH(QString, says);
    writeEvaluation(evaluation(true), at("sound.gguf"), true);
    File file(at("sound.gguf"));
    QCOMPARE(evaluationFromBytes(file.bytes(), "sound").chunks, 4L);
    harm(file);
    QString said;
    try {
        evaluationFromBytes(file.bytes(), "damaged");
    } catch (const Error& error) {
        said = error.what();
    }
    QVERIFY2(said.contains(says) && said.startsWith("damaged"), qPrintable(said));
}

void EvaluationFileTest::refusesEveryShorterFile()
{
    writeEvaluation(evaluation(true), at("sound.gguf"), true);
    const auto bytes = File(at("sound.gguf")).bytes();
    // The last tensor ends with padding that may be missing.
    for (std::size_t n = 0; n + 32 < bytes.size(); ++n)
        QVERIFY_THROWS_EXCEPTION(Error, evaluationFromBytes(std::span(bytes).first(n), "cut"));
}

QTEST_GUILESS_MAIN(EvaluationFileTest)
#include "tst_evaluationfile.moc"
