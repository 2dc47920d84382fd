#include "tests/core/quantizerun.h"

#include "core/parallel.h"

#include <QTest>

#include <limits>

using namespace quern;
using namespace quantizerun;

namespace {

// Formats that fit rows of 512 and of 256: all of GGUF's, some of the large family of our own.
void addFormats()
{
    QTest::addColumn<QString>("format");
    int own = 0;
    for (const BlockFormat* format : blockFormats())
        if ((format->inGguf() || own++ % 16 == 0) && format->encode && format->fits(512) && format->fits(256))
            QTest::addRow("%s", std::string(format->name).c_str()) << QString::fromStdString(std::string(format->name));
}

const BlockFormat& named(const QString& name)
{
    return *findBlockFormat(name.toStdString());
}

} // namespace

class TestQuantize : public QObject {
    Q_OBJECT

private slots:
    void storesWhatTheFormatEncodes_data() { addFormats(); }
    void storesWhatTheFormatEncodes();
    void givesTheSameBytesForAnyNumberOfThreads_data();
    void givesTheSameBytesForAnyNumberOfThreads();
    void weighsErrorsByTheInputs_data();
    void weighsErrorsByTheInputs();
    void leavesCopiesAlone();
    void outlivesItsSource();
    void previewIsExact_data() { addFormats(); }
    void previewIsExact();
    void previewOfSomeRowsIsClose();
    void showsRowsAsTheyAreStored();
    void permutesRotaryHeads();
    void refusesNonFiniteWeights();
    void storesNonFiniteWeightsAsZeroIfTold();
    void stopsWhenCancelled();
};

// The plain road: every row through encode and decode, with its expert's importance and the tensor's range.
void TestQuantize::storesWhatTheFormatEncodes()
{
    QFETCH(QString, format);
    const BlockFormat& target = named(format);
    const Model model = sample();
    const Calibration calibration = inputs();
    const Made result = made(model, all(target), &calibration);
    QCOMPARE(result.results.size(), std::size_t {2});
    for (std::size_t t = 0; t < 2; ++t) {
        const Tensor &original = model.tensors[t], &stored = result.model.tensors[t];
        QCOMPARE(stored.format, &target);
        const Matrix w = decoded(original);
        std::vector<std::byte> expected(static_cast<std::size_t>(original.rows()) * target.rowBytes(original.cols()));
        Distortion total;
        for (long row = 0; row < original.rows(); ++row) {
            const auto h = calibration.find(original.name)->importance(row / original.shape[original.shape.size() - 2]);
            std::byte* at = expected.data() + static_cast<std::size_t>(row) * target.rowBytes(original.cols());
            const Fit fit {.importance = h, .low = std::min(w.minCoeff(), 0.0F), .high = std::max(w.maxCoeff(), 0.0F)};
            target.encode(target, {w.row(row).data(), static_cast<std::size_t>(w.cols())}, fit, at);
        }
        QVERIFY(std::ranges::equal(stored.bytes, expected));
        const Matrix q = decoded(stored);
        for (long row = 0; row < original.rows(); ++row) {
            const auto h = calibration.find(original.name)->importance(row / original.shape[original.shape.size() - 2]);
            total.merge(distortion(w.row(row).data(), q.row(row).data(), h.data(), w.cols()));
        }
        const Distortion& told = result.results[t].method;
        QVERIFY(std::abs(told.errorSquares - total.errorSquares) <= 1e-12 * total.errorSquares);
        QVERIFY(std::abs(told.outputError - total.outputError) <= 1e-12 * total.outputError);
        QCOMPARE(told.count, original.count());
        QCOMPARE(result.results[t].stored.errorSquares, told.errorSquares);
    }
}

void TestQuantize::givesTheSameBytesForAnyNumberOfThreads_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"Q8_0", "Q4_0", "Q4_K", "INT4_G128_SYM", "INT4_TENSOR_ZP"})
        QTest::addRow("%s", format) << format;
}

void TestQuantize::givesTheSameBytesForAnyNumberOfThreads()
{
    QFETCH(QString, format);
    QVERIFY2(findBlockFormat(format.toStdString()), "the catalogue lacks it");
    Model model;
    modelmaker::add(model, "w.weight", {700, 1024}, modelmaker::normalWeights(700 * 1024, 4), "F16");
    std::vector<Made> results;
    for (const int threads : {1, 2, 7}) {
        setThreads(threads);
        results.push_back(made(model, all(named(format)), nullptr));
    }
    setThreads(0);
    for (const Made& result : results) {
        QVERIFY(sameBytes(result.model.tensors[0], results[0].model.tensors[0]));
        QCOMPARE(result.results[0].method.errorSquares, results[0].results[0].method.errorSquares);
    }
}

void TestQuantize::weighsErrorsByTheInputs_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"Q4_0", "Q4_K", "Q2_K", "IQ4_NL"})
        QTest::addRow("%s", format) << format;
}

void TestQuantize::weighsErrorsByTheInputs()
{
    QFETCH(QString, format);
    const Model model = sample();
    const Calibration calibration = inputs();
    const Made with = made(model, all(named(format)), &calibration), without = made(model, all(named(format)), nullptr);
    for (std::size_t t = 0; t < 2; ++t) {
        double blind = 0; // what the outputs see of the unweighted result
        const Matrix w = decoded(model.tensors[t]), q = decoded(without.model.tensors[t]);
        for (long row = 0; row < w.rows(); ++row) {
            const auto h = calibration.find(model.tensors[t].name)->importance(row / model.tensors[t].shape[t]);
            blind += distortion(w.row(row).data(), q.row(row).data(), h.data(), w.cols()).outputError;
        }
        QVERIFY(with.results[t].method.outputError < 0.9 * blind);
        QCOMPARE(without.results[t].method.outputError, 0.0);
    }
}

void TestQuantize::leavesCopiesAlone()
{
    const Model model = sample();
    const Made result = made(model, all(named("Q8_0")), nullptr);
    QCOMPARE(result.model.tensors[2].bytes.data(), model.tensors[2].bytes.data());
    QCOMPARE(result.model.tensors[2].format, model.tensors[2].format);
    QCOMPARE(result.results.size(), std::size_t {2});
}

void TestQuantize::outlivesItsSource()
{
    Made result;
    Matrix expected;
    {
        const Model model = sample();
        result = made(model, all(named("Q8_0")), nullptr);
        expected = decoded(model.tensors[2]);
    }
    QVERIFY(decoded(result.model.tensors[2]) == expected);
    QVERIFY(decoded(result.model.tensors[0]).cwiseAbs().maxCoeff() < 1);
    const Made again = made(result.model, all(named("Q4_0")), nullptr); // a quantized model is a model
    QCOMPARE(again.model.tensors[0].format->name, "Q4_0");
}

void TestQuantize::previewIsExact()
{
    QFETCH(QString, format);
    const Model model = sample();
    const Calibration calibration = inputs();
    const Made result = made(model, all(named(format)), &calibration);
    NoProgress progress;
    for (std::size_t t = 0; t < 2; ++t) {
        const Distortion d
            = preview(model.tensors[t], to(named(format)), calibration.find(model.tensors[t].name), 1, progress);
        QCOMPARE(d.errorSquares, result.results[t].method.errorSquares);
        QCOMPARE(d.outputError, result.results[t].method.outputError);
    }
}

void TestQuantize::previewOfSomeRowsIsClose()
{
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w.weight", {2048, 256}, modelmaker::normalWeights(2048 * 256, 8), "BF16");
    NoProgress progress;
    const Distortion exact = preview(tensor, to(named("Q4_0")), nullptr, 1, progress);
    const Distortion some = preview(tensor, to(named("Q4_0")), nullptr, 16, progress);
    QCOMPARE(some.count, tensor.count() / 16);
    QVERIFY(std::abs(some.relative() / exact.relative() - 1) < 0.02);
    QCOMPARE(preview(tensor, {}, nullptr, 4, progress).errorSquares, 0.0); // a copy
}

void TestQuantize::showsRowsAsTheyAreStored()
{
    const Model model = sample();
    const Calibration calibration = inputs();
    NoProgress progress;
    for (const char* format : {"Q4_0", "INT4_TENSOR_MIN"}) {
        const Made result = made(model, all(named(format)), &calibration);
        const Tensor &original = model.tensors[1], &stored = result.model.tensors[1];
        const QuantizedRows rows
            = quantizedRows(original, to(named(format)), calibration.find(original.name), 40, 7, progress);
        QVERIFY(rows.original == decoded(original).middleRows(40, 7));
        QVERIFY(rows.decoded == decoded(stored).middleRows(40, 7)); // rows of the second expert
        QVERIFY(std::ranges::equal(rows.blocks, stored.bytes.subspan(40 * stored.rowBytes(), 7 * stored.rowBytes())));
    }
}

void TestQuantize::permutesRotaryHeads()
{
    Model model = sample("F32");
    model.tensors[0].headRows = 64; // as if from Hugging Face
    const Matrix expected = decoded(model.tensors[0]);
    const Made result = made(model, all(named("F16")), nullptr);
    QCOMPARE(result.model.tensors[0].headRows, 0L);
    QVERIFY((decoded(result.model.tensors[0]) - expected).cwiseAbs().maxCoeff() < 1e-4);
    QVERIFY((decoded(result.model.tensors[0]) - decoded(sample("F32").tensors[0])).cwiseAbs().maxCoeff() > 1e-2);
}

void TestQuantize::refusesNonFiniteWeights()
{
    Model model;
    auto weights = modelmaker::normalWeights(600 * 512, 1);
    for (const std::size_t i : {3U, 100'000U, 600U * 512U - 1})
        weights[i] = std::numeric_limits<float>::infinity();
    modelmaker::add(model, "broken.weight", {600, 512}, weights, "F32");
    try {
        made(model, all(named("Q8_0")), nullptr);
        QFAIL("it was accepted");
    } catch (const Error& error) {
        QVERIFY(QString(error.what()).contains("broken.weight"));
        QCOMPARE(error.args().at(1), "3");
    }
}

void TestQuantize::storesNonFiniteWeightsAsZeroIfTold()
{
    Model model;
    auto weights = modelmaker::normalWeights(64 * 64, 1);
    weights[5] = std::numeric_limits<float>::quiet_NaN();
    modelmaker::add(model, "broken.weight", {64, 64}, weights, "F32");
    const Made result = made(model, all(named("Q8_0")), nullptr, {.zeroNonFinite = true, .workspace = {}});
    QCOMPARE(result.results[0].nonFinite, std::uint64_t {1});
    QCOMPARE(decoded(result.model.tensors[0])(0, 5), 0.0F);
    QVERIFY(decoded(result.model.tensors[0]).allFinite());
}

void TestQuantize::stopsWhenCancelled()
{
    class Stopped final : public Progress {
    public:
        void report(double, std::string_view) override { ++reports; }
        bool cancelled() const override { return reports > 0; }
        std::atomic<int> reports = 0;
    } progress;
    Model model;
    modelmaker::add(model, "w.weight", {2000, 512}, modelmaker::normalWeights(2000 * 512, 1), "F32");
    const Plan plan = resolve(all(named("Q8_0")), model, nullptr);
    setThreads(1);
    QVERIFY_EXCEPTION_THROWN(quantize(model, plan, nullptr, {}, progress), Cancelled);
    setThreads(0);
    QCOMPARE(progress.reports.load(), 1);
}

QTEST_GUILESS_MAIN(TestQuantize)
#include "tst_quantize.moc"
