#include "core/calibrationfile.h"

#include "core/error.h"
#include "core/inputsums.h"
#include "core/modelmaker.h"

#include <QTemporaryDir>
#include <QTest>

#include <cstring>
#include <fstream>
#include <limits>

using namespace quern;
namespace fs = std::filesystem;

namespace {

// What became of a file with one tensor or metadata entry changed.
using Harm = std::function<void(Model&)>;

Matrix values(long tokens, long cols, std::uint64_t seed)
{
    const auto all = modelmaker::normalWeights(static_cast<std::size_t>(tokens * cols), seed, 1);
    return Eigen::Map<const Matrix>(all.data(), tokens, cols);
}

// Query and key share their input; of three experts one saw nothing.
Calibration calibration(std::uint64_t seed)
{
    NoProgress progress;
    InputSums query("blk.0.attn_q.weight", 1, 40, true), experts("blk.0.ffn_up_exps.weight", 3, 24, true);
    query.add(0, values(60, 40, seed), progress);
    experts.add(0, values(9, 24, seed + 1), progress);
    experts.add(2, values(5, 24, seed + 2), progress);
    OutputCounts outputs("blk.0.attn_q.weight");
    outputs.add(values(60, 16, seed + 3), progress);
    Calibration made;
    InputStats stats = query.finished(progress);
    made.inputs["blk.0.attn_k.weight"] = stats;
    stats.outputs = outputs.finished();
    made.inputs["blk.0.attn_q.weight"] = stats;
    made.inputs["blk.0.ffn_up_exps.weight"] = experts.finished(progress);
    made.datasets = {"a text.txt"};
    made.chunks = 3;
    made.context = 20;
    made.sourceHash = "0123abcd";
    return made;
}

void compare(const Calibration& found, const Calibration& expected)
{
    QCOMPARE(found.inputs.size(), expected.inputs.size());
    for (const auto& [name, stats] : expected.inputs) {
        const InputStats& read = *found.find(name);
        QVERIFY(read.sumSquares == stats.sumSquares && read.counts == stats.counts);
        QVERIFY(read.sumMagnitudes == stats.sumMagnitudes && read.maxMagnitudes == stats.maxMagnitudes);
        QCOMPARE(read.inputs.counts, stats.inputs.counts);
        QCOMPARE(read.outputs.counts, stats.outputs.counts);
        QCOMPARE(read.hessians.size(), stats.hessians.size());
        for (std::size_t i = 0; i < stats.hessians.size(); ++i) {
            QCOMPARE(!read.hessians[i], !stats.hessians[i]);
            QVERIFY(!stats.hessians[i] || std::ranges::equal(read.hessians[i]->lower, stats.hessians[i]->lower));
        }
    }
    QCOMPARE(found.datasets, expected.datasets);
    QCOMPARE(found.chunks, expected.chunks);
    QCOMPARE(found.context, expected.context);
    QCOMPARE(found.sourceHash, expected.sourceHash);
}

const Hessian* hessian(const Calibration& c, const char* name)
{
    return c.find(name)->hessians[0].get();
}

std::vector<char> contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Tensor& tensorNamed(Model& model, const char* name)
{
    const auto found = std::ranges::find(model.tensors, name, &Tensor::name);
    Q_ASSERT(found != model.tensors.end());
    return *found;
}

// Replaces a tensor's bytes with changed ones.
template <typename T>
Harm setValue(const char* name, std::size_t at, T value)
{
    return [=](Model& model) {
        Tensor& tensor = tensorNamed(model, name);
        const auto bytes = std::make_shared<modelmaker::Bytes>(tensor.bytes.size());
        std::ranges::copy(tensor.bytes, bytes->bytes.begin());
        std::memcpy(bytes->bytes.data() + at * sizeof(T), &value, sizeof value);
        tensor.bytes = bytes->bytes;
        model.storage.push_back(bytes);
    };
}

Harm shape(const char* name, std::vector<long> shape)
{
    return [name, shape = std::move(shape)](Model& model) {
        Tensor& tensor = tensorNamed(model, name);
        tensor.shape = shape;
        tensor.bytes = tensor.bytes.first(static_cast<std::size_t>(tensor.rows()) * tensor.rowBytes());
    };
}

Harm names(const char* key, std::vector<std::string> names)
{
    return [key, names = std::move(names)](Model& model) { model.metadata.set(key, MetaArray(names)); };
}

} // namespace

class CalibrationTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;
    NoProgress m_progress;
    fs::path at(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }

private slots:
    void readsWhatItWrote();
    void sharesWhatWeightsShare();
    void keepsReadingWhatWasReplaced();
    void writesWhatItRead();
    void replacesNothingUnasked();
    void merges();
    void mergesOnlyWhatBothHave();
    void refusesToMergeOtherSizes();
    void refusesDamage_data();
    void refusesDamage();
    void tellsDamageOfHWhenItIsUsed();
};

void CalibrationTest::readsWhatItWrote()
{
    const Calibration made = calibration(1);
    writeCalibration(made, at("c.gguf"), false, m_progress);
    const Calibration read = readImatrix(at("c.gguf"));
    compare(read, made);
    QVERIFY(read.path == at("c.gguf"));
    const auto bytes = contents(at("c.gguf"));
    compare(imatrixFromBytes(std::as_bytes(std::span(bytes)), "memory"), made);
    fs::remove(at("c.gguf"));
}

void CalibrationTest::sharesWhatWeightsShare()
{
    const Calibration made = calibration(1);
    QCOMPARE(hessian(made, "blk.0.attn_q.weight"), hessian(made, "blk.0.attn_k.weight"));
    writeCalibration(made, at("shared.gguf"), false, m_progress);
    const Calibration read = readImatrix(at("shared.gguf"));
    QCOMPARE(hessian(read, "blk.0.attn_q.weight"), hessian(read, "blk.0.attn_k.weight"));
    const Model file = openModel(at("shared.gguf"));
    QVERIFY(file.find("blk.0.attn_k.weight.hessian") && !file.find("blk.0.attn_q.weight.hessian"));
}

void CalibrationTest::keepsReadingWhatWasReplaced()
{
    writeCalibration(calibration(1), at("old.gguf"), false, m_progress);
    const Calibration read = readImatrix(at("old.gguf"));
    writeCalibration(calibration(2), at("old.gguf"), true, m_progress);
    compare(read, calibration(1));
}

void CalibrationTest::writesWhatItRead()
{
    writeCalibration(calibration(1), at("first.gguf"), false, m_progress);
    writeCalibration(readImatrix(at("first.gguf")), at("second.gguf"), false, m_progress);
    QVERIFY(contents(at("first.gguf")) == contents(at("second.gguf")));
}

void CalibrationTest::replacesNothingUnasked()
{
    writeCalibration(calibration(1), at("kept.gguf"), false, m_progress);
    const auto before = contents(at("kept.gguf"));
    QVERIFY_THROWS_EXCEPTION(Error, writeCalibration(calibration(2), at("kept.gguf"), false, m_progress));
    QVERIFY(contents(at("kept.gguf")) == before);
    QVERIFY(!fs::exists(at("kept.gguf.part")));
}

void CalibrationTest::merges()
{
    Calibration sum = calibration(1);
    const Calibration a = sum, b = calibration(7);
    sum.merge(b, m_progress);
    const auto stats = [](const Calibration& c) -> const InputStats& { return *c.find("blk.0.attn_q.weight"); };
    QVERIFY(stats(sum).sumSquares == stats(a).sumSquares + stats(b).sumSquares);
    QVERIFY(stats(sum).maxMagnitudes == stats(a).maxMagnitudes.cwiseMax(stats(b).maxMagnitudes));
    QCOMPARE(stats(sum).counts, std::vector<double> {120});
    QCOMPARE(stats(sum).inputs.total(), std::uint64_t {120 * 40});
    QCOMPARE(sum.chunks, 6L);
    QCOMPARE(sum.context, 20L);
    QCOMPARE(hessian(sum, "blk.0.attn_q.weight"), hessian(sum, "blk.0.attn_k.weight"));

    Matrix both(120, 40);
    both << values(60, 40, 1), values(60, 40, 7);
    const Matrix expected = both.transpose() * both / 120;
    QVERIFY((stats(sum).hessians[0]->matrix(m_progress) - expected).cwiseAbs().maxCoeff() < 1e-6F);
    // Expert 0 saw 9 vectors each time, expert 1 none.
    const InputStats& experts = *sum.find("blk.0.ffn_up_exps.weight");
    QCOMPARE(experts.counts, (std::vector<double> {18, 0, 10}));
    QVERIFY(experts.hessians[0] && !experts.hessians[1]);
}

void CalibrationTest::mergesOnlyWhatBothHave()
{
    Calibration sum = calibration(1), plain;
    InputStats& from = plain.inputs["blk.0.attn_q.weight"];
    from.sumSquares = Eigen::MatrixXd::Ones(1, 40);
    from.counts = {4};
    plain.inputs["blk.1.attn_q.weight"] = from;
    sum.merge(plain, m_progress);
    const InputStats& stats = *sum.find("blk.0.attn_q.weight");
    QCOMPARE(stats.counts, std::vector<double> {64});
    QVERIFY(stats.hessians.empty() && stats.inputs.counts.empty() && stats.sumMagnitudes.size() == 0);
    QVERIFY(sum.find("blk.1.attn_q.weight"));
    QVERIFY(!sum.find("blk.0.attn_k.weight")->hessians.empty());
}

void CalibrationTest::refusesToMergeOtherSizes()
{
    Calibration sum = calibration(1), other;
    other.inputs["blk.0.attn_q.weight"].sumSquares = Eigen::MatrixXd::Ones(1, 41);
    other.inputs["blk.0.attn_q.weight"].counts = {4};
    QVERIFY_THROWS_EXCEPTION(Error, sum.merge(other, m_progress));
    compare(sum, calibration(1));
}

void CalibrationTest::refusesDamage_data()
{
    QTest::addColumn<Harm>("harm");
    QTest::addColumn<QString>("says");
    const float nan = std::numeric_limits<float>::quiet_NaN();
    QTest::newRow("a mean that is no number") << setValue("blk.0.attn_q.weight.in_abs", 3, nan) << "value 3 of";
    QTest::newRow("a negative maximum") << setValue("blk.0.attn_q.weight.in_max", 0, -1.0F) << "in_max is -1";
    QTest::newRow("a maximum too few") << shape("blk.0.attn_q.weight.in_max", {39}) << "1 x 40 of F32 are expected";
    QTest::newRow("negative count") << setValue("blk.0.attn_q.weight.in_hist", 5, std::int64_t {-1}) << "negative";
    QTest::newRow("counts beyond 2^63") << Harm([](Model& model) {
        for (std::size_t i = 0; i < 3; ++i)
            setValue("blk.0.attn_q.weight.out_hist", i, std::numeric_limits<std::int64_t>::max())(model);
    }) << "more than can be";
    QTest::newRow("a bin too few") << shape("blk.0.attn_q.weight.in_hist", {1538}) << "1539 of I64";
    QTest::newRow("H of other size") << shape("blk.0.attn_k.weight.hessian", {819}) << "1 x 820 of F32";
    QTest::newRow("H of fewer experts") << shape("blk.0.ffn_up_exps.weight.hessian", {2, 300}) << "3 x 300 of F32";
    QTest::newRow("H of another type") << Harm([](Model& model) {
        Tensor& tensor = tensorNamed(model, "blk.0.attn_k.weight.hessian");
        tensor.format = findBlockFormat("F16");
        tensor.bytes = tensor.bytes.first(tensor.rowBytes());
    }) << "of F16";
    QTest::newRow("shared by an unknown weight")
        << names("quern.hessian.weights", {"blk.9.attn_q.weight"}) << "blk.9.attn_q.weight is said";
    QTest::newRow("shared with one that has none")
        << names("quern.hessian.same_as", {"blk.0.attn_q.weight"}) << "is said to have the inputs";
    QTest::newRow("shared in another size")
        << names("quern.hessian.same_as", {"blk.0.ffn_up_exps.weight"}) << "is said to have the inputs";
    QTest::newRow("half of the names") << names("quern.hessian.same_as", {}) << "belong together";
    QTest::newRow("a newer version") << Harm([](Model& model) {
        model.metadata.set("quern.calibration.version", std::uint32_t {2});
    }) << "version 2";
}

void CalibrationTest::refusesDamage()
{
    QFETCH(Harm, harm);
    QFETCH(QString, says);
    writeCalibration(calibration(1), at("sound.gguf"), true, m_progress);
    Model model = openModel(at("sound.gguf"));
    harm(model);
    writeModel(model, at("damaged.gguf"), true, m_progress);
    QString said;
    try {
        readImatrix(at("damaged.gguf"));
    } catch (const Error& error) {
        said = error.what();
    }
    QVERIFY2(said.contains(says) && said.contains("damaged.gguf"), qPrintable(said));
}

void CalibrationTest::tellsDamageOfHWhenItIsUsed()
{
    writeCalibration(calibration(1), at("sound.gguf"), true, m_progress);
    Model model = openModel(at("sound.gguf"));
    setValue("blk.0.attn_k.weight.hessian", 77, std::numeric_limits<float>::infinity())(model);
    writeModel(model, at("damaged.gguf"), true, m_progress);
    const Calibration read = readImatrix(at("damaged.gguf"));
    QVERIFY_THROWS_EXCEPTION(Error, hessian(read, "blk.0.attn_q.weight")->matrix(m_progress));
    fs::resize_file(at("damaged.gguf"), fs::file_size(at("damaged.gguf")) / 2);
    QVERIFY_THROWS_EXCEPTION(Error, read.find("blk.0.ffn_up_exps.weight")->hessians[0]->matrix(m_progress));
}

QTEST_GUILESS_MAIN(CalibrationTest)
#include "tst_calibration.moc"
