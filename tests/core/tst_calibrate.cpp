#include "core/calibrate.h"

#include "core/error.h"
#include "core/fingerprint.h"
#include "core/parallel.h"
#include "tests/core/calibraterun.h"
#include "tests/core/reference.h"
#include "tests/core/tinyfamilies.h"

#include <QFile>
#include <QTest>

using namespace calibraterun;

namespace {

struct Sums {
    Eigen::RowVectorXd squares, magnitudes, largest;
    Eigen::MatrixXd products;
    double count = 0;

    void add(const Eigen::MatrixXd& x)
    {
        if (count == 0) {
            squares = magnitudes = largest = Eigen::RowVectorXd::Zero(x.cols());
            products = Eigen::MatrixXd::Zero(x.cols(), x.cols());
        }
        squares += x.colwise().squaredNorm();
        magnitudes += x.cwiseAbs().colwise().sum();
        largest = largest.cwiseMax(x.cwiseAbs().colwise().maxCoeff());
        products += x.transpose() * x;
        count += static_cast<double>(x.rows());
    }
};

double difference(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b)
{
    return (a - b).norm() / b.norm();
}

std::string ggufName(const std::string& name)
{
    const std::string layer = name.substr(std::string("model.layers.").size());
    const std::map<std::string, std::string> kinds {
        {"q_proj", "attn_q"},      {"k_proj", "attn_k"},      {"v_proj", "attn_v"},
        {"o_proj", "attn_output"}, {"qkv_proj", "attn_qkv"},  {"up_proj", "ffn_up"},
        {"gate_proj", "ffn_gate"}, {"down_proj", "ffn_down"}, {"gate_up_proj", "ffn_up"}};
    return "blk." + layer.substr(0, layer.find('.')) + '.' + kinds.at(name.substr(name.rfind('.') + 1)) + ".weight";
}

} // namespace

class CalibrateTest final : public QObject {
    Q_OBJECT

    // In memory, where there is such a folder: every block is synced.
    QTemporaryDir m_folder {QFile::exists("/dev/shm") ? "/dev/shm/tst_calibrate-XXXXXX" : "tst_calibrate-XXXXXX"};
    Model m_model; // a llama of six blocks
    Chunks m_chunks = chunks(5, 24, tinygguf::kTokens);
    NoProgress m_progress;

    fs::path at(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }
    Calibration into(const char* name, const CalibrateOptions& options, Progress& progress) const
    {
        return calibrateInto(at(name), false, m_model, m_chunks, options, progress);
    }

private slots:
    void initTestCase();
    void sumsAreThoseOfTheReference_data();
    void sumsAreThoseOfTheReference();
    void sumsUpEveryExpertsOwn_data();
    void sumsUpEveryExpertsOwn();
    void collectsTheOutputMatrixIfAsked();
    void weighsTheEmbeddingByItsReaders_data();
    void weighsTheEmbeddingByItsReaders();
    void doesNotDependOnThreads();
    void handsOutEveryBlock();
    void doesNotReplaceTheModel();
    void namesTheTensorThatIsNotFinite();
    void saysWhatItIsTooSmallFor();
    void needsNoMoreForALongerText();
    void fingerprintsTellModelsApart();
};

void CalibrateTest::initTestCase()
{
    m_model = sixBlocks();
}

void CalibrateTest::sumsAreThoseOfTheReference_data()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "qwen2", "gemma3-pattern", "phi3"}) // tst_forwardpass has all
        QTest::newRow(row) << row;
}

void CalibrateTest::sumsAreThoseOfTheReference()
{
    QFETCH(QString, row);
    tiny::Folder folder;
    tiny::fill(folder, row.toStdString());
    const Model model = openModel(folder.written());
    const Chunks text = chunks(2, 70, tiny::kTokens); // longer than the windows and the original contexts
    std::map<std::string, Sums> expected;
    reference::Transformer transformer(folder, tiny::layout(row.toStdString()));
    transformer.seen = [&](const std::string& layer, const Eigen::MatrixXd& x) { expected[ggufName(layer)].add(x); };
    for (long i = 0; i < text.count(); ++i)
        transformer.logits({text.chunk(i).begin(), text.chunk(i).end()});

    const Calibration found = calibrate(model, text, {.hessians = true}, m_progress);
    QCOMPARE(found.inputs.size() - found.inputs.count("token_embd.weight"), expected.size());
    for (const auto& [name, sums] : expected) {
        const InputStats* stats = found.find(name);
        QVERIFY2(stats, name.c_str());
        QCOMPARE(stats->counts, std::vector<double> {sums.count});
        QVERIFY(difference(stats->sumSquares, sums.squares) < 1e-5);
        QVERIFY(difference(stats->sumMagnitudes, sums.magnitudes) < 1e-5);
        QVERIFY(difference(stats->maxMagnitudes.cast<double>(), sums.largest) < 1e-5);
        const Matrix h = stats->hessians.at(0)->matrix(m_progress);
        QVERIFY(h == h.transpose());
        QVERIFY(difference(h.cast<double>(), sums.products / sums.count) < 1e-5);
        QCOMPARE(stats->inputs.total(), static_cast<std::uint64_t>(sums.count) * sums.squares.size());
        QCOMPARE(stats->outputs.total(), static_cast<std::uint64_t>(sums.count) * model.find(name)->rows());
    }
}

void CalibrateTest::sumsUpEveryExpertsOwn_data()
{
    QTest::addColumn<QString>("row");
    for (const tinygguf::Case& c : tinygguf::cases())
        QTest::newRow(c.row) << c.row;
}

void CalibrateTest::sumsUpEveryExpertsOwn()
{
    QFETCH(QString, row);
    Model model;
    for (const tinygguf::Case& c : tinygguf::cases())
        if (row == c.row)
            model = c.make();
    const Chunks text = chunks(4, 30, tinygguf::kTokens);
    std::map<std::pair<std::string, long>, Sums> expected;
    const Observer observer {.input = [&](const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x) {
        expected[{weight.name, matrix}].add(x.cast<double>());
    }};
    forwardrun::hidden(openNetwork(model), text.tokens, text.context, observer);

    const Calibration found = calibrate(model, text, {.hessians = true}, m_progress);
    std::size_t seen = 0;
    for (const auto& [name, stats] : found.inputs) {
        if (name == "token_embd.weight")
            continue; // nothing that the text gives
        const Tensor& weight = *model.find(name);
        QCOMPARE(static_cast<long>(stats.counts.size()), weight.matrices());
        QCOMPARE(stats.sumSquares.rows(), weight.matrices());
        double all = 0;
        for (long i = 0; i < weight.matrices(); ++i) {
            const double count = stats.counts[static_cast<std::size_t>(i)];
            const auto& h = stats.hessians[static_cast<std::size_t>(i)];
            all += count;
            QCOMPARE(h != nullptr, count > 0);
            if (count == 0)
                continue;
            ++seen;
            const Sums& sums = expected.at({name, i});
            QCOMPARE(count, sums.count);
            QVERIFY(difference(stats.sumSquares.row(i), sums.squares) < 1e-6);
            QVERIFY(difference(h->matrix(m_progress).cast<double>(), sums.products / count) < 1e-6);
        }
        const bool ofExperts = weight.matrices() > 1;
        QCOMPARE(all, static_cast<double>(text.tokens.size()) * (ofExperts ? 2 : 1)); // two of five are used
    }
    QCOMPARE(seen, expected.size());
    if (row != "gpt2")
        QCOMPARE(found.find("blk.1.ffn_gate_exps.weight")->hessians, found.find("blk.1.ffn_up_exps.weight")->hessians);
}

void CalibrateTest::collectsTheOutputMatrixIfAsked()
{
    QVERIFY(!calibrate(m_model, m_chunks, {}, m_progress).find("output.weight"));
    Watcher watcher;
    const Calibration found = calibrate(m_model, m_chunks, {.hessians = true, .processOutput = true}, watcher);
    Sums expected;
    const Observer observer {.input = [&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& x) {
        if (weight.name == "output.weight")
            expected.add(x.cast<double>());
    }};
    forwardrun::logits(openNetwork(m_model), m_chunks.tokens, m_chunks.context, observer);
    const InputStats* stats = found.find("output.weight");
    QVERIFY(stats);
    QCOMPARE(stats->counts, std::vector<double> {120});
    QVERIFY(difference(stats->sumSquares, expected.squares) < 1e-6);
    QVERIFY(difference(stats->hessians[0]->matrix(m_progress).cast<double>(), expected.products / 120) < 1e-6);
    QVERIFY(watcher.ascends);
    QCOMPARE(watcher.last, 1.0);
}

void CalibrateTest::weighsTheEmbeddingByItsReaders_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<QStringList>("readers");
    QTest::newRow("llama") << "llama" << QStringList {"attn_q", "attn_k", "attn_v"};
    QTest::newRow("phi3") << "phi3" << QStringList {"attn_qkv"};
    QTest::newRow("llama-tied") << "llama-tied" << QStringList {}; // it is the output matrix as well
}

void CalibrateTest::weighsTheEmbeddingByItsReaders()
{
    QFETCH(QString, row);
    QFETCH(QStringList, readers);
    tiny::Folder folder;
    tiny::fill(folder, row.toStdString());
    const Model model = openModel(folder.written());
    const Chunks text = chunks(2, 20, tiny::kTokens);
    QVERIFY(!calibrate(model, text, {}, m_progress).find("token_embd.weight"));
    const Calibration found = calibrate(model, text, {.hessians = true}, m_progress);
    const InputStats* stats = found.find("token_embd.weight");
    QCOMPARE(stats != nullptr, !readers.isEmpty());
    if (readers.isEmpty())
        return;
    const Eigen::MatrixXd gains = decoded(*model.find("blk.0.attn_norm.weight")).cast<double>();
    Eigen::MatrixXd products = Eigen::MatrixXd::Zero(gains.cols(), gains.cols());
    double rows = 0;
    for (const QString& reader : readers) {
        const Eigen::MatrixXd weights = decoded(*model.find("blk.0." + reader.toStdString() + ".weight")).cast<double>()
            * gains.row(0).asDiagonal();
        products += weights.transpose() * weights;
        rows += static_cast<double>(weights.rows());
    }
    const Eigen::MatrixXd h = stats->hessians.at(0)->matrix(m_progress).cast<double>();
    QVERIFY(difference(h, products / rows) < 1e-6);
    QVERIFY(difference(stats->sumSquares, 40 * h.diagonal().transpose()) < 1e-6);
    QCOMPARE(stats->counts, std::vector<double> {40});
}

void CalibrateTest::doesNotDependOnThreads()
{
    for (const int n : {1, 2, 5}) {
        setThreads(n);
        const std::string name = "threads" + std::to_string(n);
        into(name.c_str(), {.hessians = true, .processOutput = true}, m_progress);
    }
    setThreads(0);
    QVERIFY(contents(at("threads1")) == contents(at("threads2")));
    QVERIFY(contents(at("threads1")) == contents(at("threads5")));
}

void CalibrateTest::handsOutEveryBlock()
{
    std::vector<std::size_t> sizes;
    CalibrateOptions options {.hessians = true};
    options.blockDone = [&](const Calibration& ofBlock) {
        const std::string prefix = "blk." + std::to_string(sizes.size()) + '.';
        for (const auto& [name, stats] : ofBlock.inputs)
            QVERIFY(name.starts_with(prefix) && stats.hessians.at(0));
        sizes.push_back(ofBlock.inputs.size());
    };
    Calibration found = calibrate(m_model, m_chunks, options, m_progress);
    QCOMPARE(sizes, std::vector<std::size_t>(6, 7));
    QCOMPARE(found.inputs.size(), std::size_t {43}); // with the embedding
    QCOMPARE(found.context, 24L);
    QCOMPARE(found.chunks, 5L);

    // The same as by way of files.
    found.sourceHash.clear();
    writeCalibration(found, at("memory"), false, m_progress);
    into("file", {.hessians = true}, m_progress);
    QVERIFY(contents(at("memory")) == contents(at("file")));
}

void CalibrateTest::doesNotReplaceTheModel()
{
    writeModel(m_model, at("model.gguf"), true, m_progress);
    const Model model = openModel(at("model.gguf"));
    QVERIFY_THROWS_EXCEPTION(Error, calibrateInto(at("model.gguf"), true, model, m_chunks, {}, m_progress));
}

void CalibrateTest::namesTheTensorThatIsNotFinite()
{
    Model model = m_model;
    for (Tensor& tensor : model.tensors)
        if (tensor.name == "blk.2.ffn_up.weight") {
            const auto large = std::make_shared<modelmaker::Bytes>(tensor.bytes.size());
            const std::vector<float> values(static_cast<std::size_t>(tensor.count()), 3e38F);
            std::memcpy(large->bytes.data(), values.data(), tensor.bytes.size());
            tensor.bytes = large->bytes;
            model.storage.push_back(large);
        }
    QString said;
    try {
        calibrate(model, m_chunks, {}, m_progress);
    } catch (const Error& error) {
        said = error.what();
    }
    QVERIFY2(said.contains("blk.2.ffn_up.weight"), qPrintable(said));
}

void CalibrateTest::saysWhatItIsTooSmallFor()
{
    QVERIFY(shortcomings(calibrate(m_model, m_chunks, {}, m_progress)).empty()); // sums of squares need little
    Calibration small = calibrate(m_model, m_chunks, {.hessians = true}, m_progress);
    const auto said = shortcomings(small);
    QCOMPARE(said.size(), std::size_t {1});
    const QString text = QString::fromStdString(said[0]); // 120 tokens; 16 times 96 columns
    QVERIFY2(text.contains("blk.0.ffn_down.weight") && text.contains("120") && text.contains("1536"), qPrintable(text));
    for (auto& [name, stats] : small.inputs)
        stats.counts = {1536};
    QVERIFY(shortcomings(small).empty());

    const Model experts = tinygguf::withExperts({.family = "qwen3moe", .headNorms = true});
    const Chunks word {4, {3, 3, 3, 3}};
    const auto unseen = shortcomings(calibrate(experts, word, {}, m_progress));
    QCOMPARE(unseen.size(), std::size_t {1});
    QVERIFY2(unseen[0].find("of 30 matrices") != std::string::npos, unseen[0].c_str());
    QVERIFY2(unseen[0].find("saw no token") != std::string::npos, unseen[0].c_str());
}

void CalibrateTest::needsNoMoreForALongerText()
{
    const Chunks few = chunks(400, 64, 120), many = chunks(4000, 64, 120);
    for (const bool hessians : {false, true}) {
        const CalibrateOptions options {.hessians = hessians};
        const CalibrationNeeds a = calibrationNeeds(m_model, few, options),
                               b = calibrationNeeds(m_model, many, options);
        QCOMPARE(a.memory, b.memory);
        QVERIFY(a.disk < b.disk && a.disk >= few.tokens.size() * 64 * 4);
    }
    QVERIFY(calibrationNeeds(m_model, few, {}).memory < calibrationNeeds(m_model, few, {.hessians = true}).memory);
}

void CalibrateTest::fingerprintsTellModelsApart()
{
    const std::string whole = fingerprint(m_model, m_progress);
    setThreads(3);
    QCOMPARE(fingerprint(m_model, m_progress), whole);
    setThreads(0);
    Model renamed = m_model;
    renamed.tensors[3].name += 'x';
    QVERIFY(fingerprint(renamed, m_progress) != whole);
    Model turned = m_model;
    turned.tensors[3].headRows = 2;
    QVERIFY(fingerprint(turned, m_progress) != whole);
}

QTEST_GUILESS_MAIN(CalibrateTest)
#include "tst_calibrate.moc"
