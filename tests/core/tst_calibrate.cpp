#include "core/calibrate.h"

#include "core/error.h"
#include "core/fingerprint.h"
#include "core/parallel.h"
#include "tests/core/forwardrun.h"
#include "tests/core/reference.h"
#include "tests/core/tinyfamilies.h"
#include "tests/core/tinygguf.h"

#include <QFile>
#include <QTest>

#include <fstream>
#include <mutex>

using namespace quern;
namespace fs = std::filesystem;

namespace {

// Hears what is going on, and stops the work when told to.
class Watcher final : public Progress {
public:
    explicit Watcher(std::string stopAt = {})
        : m_stopAt(std::move(stopAt))
    {
    }
    void report(double fraction, std::string_view step) override
    {
        const std::scoped_lock lock(m_mutex);
        ascends &= fraction >= last && fraction <= 1;
        last = std::max(last, fraction);
        if (steps.empty() || steps.back() != step)
            steps.emplace_back(step);
        if (!m_stopAt.empty() && step == m_stopAt)
            m_cancelled = true;
    }
    bool cancelled() const override { return m_cancelled; }

    std::vector<std::string> steps;
    double last = 0;
    bool ascends = true;

private:
    std::mutex m_mutex;
    std::string m_stopAt;
    std::atomic<bool> m_cancelled = false;
};

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

Chunks chunks(long count, long context, long vocabulary)
{
    return {context, forwardrun::someTokens(static_cast<std::size_t>(count * context), vocabulary)};
}

double difference(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b)
{
    return (a - b).norm() / b.norm();
}

std::vector<char> contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string ggufName(std::string name)
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
    QString complaint(const char* name) const
    {
        NoProgress progress;
        try {
            into(name, {}, progress);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

private slots:
    void initTestCase();
    void sumsAreThoseOfTheReference_data();
    void sumsAreThoseOfTheReference();
    void sumsUpEveryExpertsOwn_data();
    void sumsUpEveryExpertsOwn();
    void collectsTheOutputMatrixIfAsked();
    void doesNotDependOnThreads();
    void handsOutEveryBlock();
    void goesOnWhereItWasCancelled_data();
    void goesOnWhereItWasCancelled();
    void takesUpNothingElse_data();
    void takesUpNothingElse();
    void startsAnewWhereTheCheckpointIsDamaged_data();
    void startsAnewWhereTheCheckpointIsDamaged();
    void saysThatABlockIsDamaged();
    void refusesAFolderOfOthers();
    void refusesToWorkTwiceAtOnce();
    void doesNotReplaceTheModel();
    void namesTheTensorThatIsNotFinite();
    void saysWhatItIsTooSmallFor();
    void needsNoMoreForALongerText();
    void fingerprintsTellModelsApart();
};

void CalibrateTest::initTestCase()
{
    tinygguf::Maker maker("llama");
    maker.number("block_count", 6);
    maker.number("attention.head_count_kv", tinygguf::kKvHeads);
    maker.number("rope.dimension_count", tinygguf::kWidth / tinygguf::kHeads);
    maker.real("attention.layer_norm_rms_epsilon", 0.01F);
    maker.norm("output_norm", tinygguf::kWidth);
    maker.linear("output", tinygguf::kTokens, tinygguf::kWidth);
    for (int i = 0; i < 6; ++i) {
        const std::string block = "blk." + std::to_string(i) + '.';
        maker.norm(block + "attn_norm", tinygguf::kWidth);
        maker.linear(block + "attn_q", tinygguf::kWidth, tinygguf::kWidth);
        maker.linear(block + "attn_k", tinygguf::kWidth / 2, tinygguf::kWidth);
        maker.linear(block + "attn_v", tinygguf::kWidth / 2, tinygguf::kWidth);
        maker.linear(block + "attn_output", tinygguf::kWidth, tinygguf::kWidth);
        maker.norm(block + "ffn_norm", tinygguf::kWidth);
        maker.linear(block + "ffn_gate", tinygguf::kFeed, tinygguf::kWidth);
        maker.linear(block + "ffn_up", tinygguf::kFeed, tinygguf::kWidth);
        maker.linear(block + "ffn_down", tinygguf::kWidth, tinygguf::kFeed);
    }
    m_model = maker.take();
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
    QCOMPARE(found.inputs.size(), expected.size());
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
    QCOMPARE(found.inputs.size(), std::size_t {42});
    QCOMPARE(found.context, 24L);
    QCOMPARE(found.chunks, 5L);

    // The same as by way of files.
    found.sourceHash.clear();
    writeCalibration(found, at("memory"), false, m_progress);
    into("file", {.hessians = true}, m_progress);
    QVERIFY(contents(at("memory")) == contents(at("file")));
}

void CalibrateTest::goesOnWhereItWasCancelled_data()
{
    QTest::addColumn<QString>("stopAt");
    QTest::addColumn<int>("resumesAt");
    QTest::newRow("in the first block") << "blk.0" << 0;
    QTest::newRow("in the second block") << "blk.1" << 1;
    QTest::newRow("in the last block") << "blk.5" << 5;
    QTest::newRow("at the output") << "output" << 6;
}

void CalibrateTest::goesOnWhereItWasCancelled()
{
    QFETCH(QString, stopAt);
    QFETCH(int, resumesAt);
    const CalibrateOptions options {.hessians = true, .processOutput = true, .datasets = {"text"}};
    if (!fs::exists(at("whole")))
        into("whole", options, m_progress);
    fs::remove(at("resumed"));

    Watcher stopped(stopAt.toStdString());
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("resumed", options, stopped));
    QVERIFY(!fs::exists(at("resumed")));
    QVERIFY(fs::exists(checkpointOf(at("resumed"))));

    Watcher going;
    long blocks = 0;
    CalibrateOptions counted = options;
    counted.blockDone = [&](const Calibration&) { ++blocks; };
    into("resumed", counted, going);
    QCOMPARE(blocks, 7L); // with the output
    for (int i = 0; i < 6; ++i) {
        const bool ran = std::ranges::find(going.steps, "blk." + std::to_string(i)) != going.steps.end();
        QCOMPARE(ran, i >= resumesAt);
    }
    QVERIFY(contents(at("resumed")) == contents(at("whole")));
    QVERIFY(!fs::exists(checkpointOf(at("resumed"))));
}

void CalibrateTest::takesUpNothingElse_data()
{
    QTest::addColumn<QString>("change");
    for (const char* change : {"text", "context", "hessians", "output", "a weight", "metadata", "name"})
        QTest::newRow(change) << change;
}

void CalibrateTest::takesUpNothingElse()
{
    QFETCH(QString, change);
    fs::remove_all(checkpointOf(at("other")));
    fs::remove(at("other"));
    Watcher stopped("blk.1");
    CalibrateOptions options {.datasets = {"text"}};
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("other", options, stopped));

    Model model = m_model;
    Chunks text = m_chunks;
    if (change == "text")
        text.tokens[77] ^= 1;
    if (change == "context")
        text.context = 12;
    options.hessians = change == "hessians";
    options.processOutput = change == "output";
    if (change == "name")
        options.datasets = {"tex"};
    if (change == "metadata")
        model.metadata.set("llama.rope.freq_base", 7000.0F);
    const auto changed = std::make_shared<modelmaker::Bytes>(model.tensors.back().bytes.size());
    std::ranges::copy(model.tensors.back().bytes, changed->bytes.begin());
    changed->bytes[1000] ^= std::byte {1};
    if (change == "a weight")
        model.tensors.back().bytes = changed->bytes;
    Watcher watcher("blk.0");
    QVERIFY_THROWS_EXCEPTION(Cancelled, calibrateInto(at("other"), false, model, text, options, watcher));
    QVERIFY(std::ranges::find(watcher.steps, "blk.0") != watcher.steps.end());
}

void CalibrateTest::startsAnewWhereTheCheckpointIsDamaged_data()
{
    QTest::addColumn<QString>("file");
    for (const char* file : {"state", "hidden-0", "hidden-1"})
        QTest::newRow(file) << file;
}

void CalibrateTest::startsAnewWhereTheCheckpointIsDamaged()
{
    QFETCH(QString, file);
    const fs::path folder = checkpointOf(at("damaged"));
    fs::remove_all(folder);
    fs::remove(at("damaged"));
    Watcher stopped("blk.4");
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("damaged", {}, stopped));
    const fs::path path = folder / file.toStdString();
    fs::resize_file(path, fs::file_size(path) - 1);
    Watcher watcher;
    into("damaged", {}, watcher);
    // Of the two files of hidden states, the next block reads the one with an even number.
    const bool matters = file != "hidden-1";
    QCOMPARE(std::ranges::find(watcher.steps, "blk.0") != watcher.steps.end(), matters);
    if (!fs::exists(at("undamaged")))
        into("undamaged", {}, m_progress);
    QVERIFY(contents(at("damaged")) == contents(at("undamaged")));
}

void CalibrateTest::saysThatABlockIsDamaged()
{
    Watcher stopped("blk.4");
    QVERIFY_THROWS_EXCEPTION(Cancelled, into("cut", {}, stopped));
    const fs::path path = checkpointOf(at("cut")) / "block-1.gguf";
    fs::resize_file(path, fs::file_size(path) - 1);
    const QString said = complaint("cut");
    QVERIFY2(said.contains("remove the folder") && said.contains("block-1.gguf"), qPrintable(said));
}

void CalibrateTest::refusesAFolderOfOthers()
{
    const fs::path folder = checkpointOf(at("taken"));
    fs::create_directory(folder);
    std::ofstream(folder / "thesis.tex") << "years of work";
    const QString said = complaint("taken");
    QVERIFY2(said.contains("thesis.tex"), qPrintable(said));
    QVERIFY(fs::exists(folder / "thesis.tex"));
}

void CalibrateTest::refusesToWorkTwiceAtOnce()
{
    QString said;
    CalibrateOptions options;
    options.blockDone = [&](const Calibration&) {
        if (said.isEmpty())
            said = complaint("twice");
    };
    into("twice", options, m_progress);
    QVERIFY2(said.contains("Another calibration"), qPrintable(said));
    QVERIFY2(complaint("twice").contains("exists already"), qPrintable(complaint("twice")));
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
