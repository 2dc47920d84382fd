#include "core/recipe.h"
#include "tests/core/modelmaker.h"
#include "tests/core/samplemodel.h"

#include <QTest>

#include <cstring>
#include <limits>

namespace fs = std::filesystem;
using namespace quern;
using testfiles::complaint;

namespace {

class Legacy {
public:
    Legacy& number(std::int32_t value)
    {
        bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Legacy& text(std::string_view text)
    {
        number(static_cast<std::int32_t>(text.size()));
        bytes += text;
        return *this;
    }
    Legacy& values(std::vector<float> values)
    {
        number(static_cast<std::int32_t>(values.size()));
        bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
        return *this;
    }
    std::span<const std::byte> span() const { return std::as_bytes(std::span(bytes)); }

    std::string bytes;
};

void addFloats(Model& model, const char* name, std::vector<long> shape, const std::vector<float>& values)
{
    const auto buffer = std::make_shared<sample::Buffer>();
    const auto bytes = std::as_bytes(std::span(values));
    buffer->bytes.assign(bytes.begin(), bytes.end());
    model.tensors.push_back(
        {.name = name, .shape = std::move(shape), .format = findBlockFormat("F32"), .bytes = buffer->bytes});
    model.storage.push_back(buffer);
}

Model imatrix()
{
    Model model;
    model.metadata.set("general.type", std::string("imatrix"));
    model.metadata.set("imatrix.datasets", MetaArray(std::vector<std::string> {"a.txt", "b.txt"}));
    model.metadata.set("imatrix.chunk_count", std::uint32_t(7));
    model.metadata.set("imatrix.chunk_size", std::uint32_t(512));
    addFloats(model, "blk.0.attn_q.weight.counts", {1, 1}, {4});
    addFloats(model, "blk.0.attn_q.weight.in_sum2", {3}, {4, 8, 0}); // llama.cpp drops dimensions of 1
    addFloats(model, "blk.0.ffn_up_exps.weight.counts", {2, 1}, {2, 0});
    addFloats(model, "blk.0.ffn_up_exps.weight.in_sum2", {2, 2}, {1, 2, 3, 4});
    return model;
}

} // namespace

class ImatrixTest final : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;

    fs::path written(const Model& model) { return sample::written(model, m_folder / "imatrix.gguf"); }

private slots:
    void readsGguf();
    void readsTheLegacyFormat();
    void readsTheLegacyFormatWithoutATail();
    void splitsTheRowsOfExperts();
    void readsARealOne();
    void refusesDamagedGguf_data();
    void refusesDamagedGguf();
    void refusesDamagedLegacy_data();
    void refusesDamagedLegacy();
    void survivesEveryCut();
    void refusesTheHostileOne();
};

void ImatrixTest::readsGguf()
{
    const fs::path path = written(imatrix());
    const Calibration read = readImatrix(path);
    QVERIFY(read.path == path);
    QVERIFY((read.datasets == std::vector<std::string> {"a.txt", "b.txt"}));
    QCOMPARE(read.chunks, 7L);
    QCOMPARE(read.inputs.size(), std::size_t(2));
    QVERIFY(!read.find("blk.0.attn_k.weight"));
    QVERIFY((read.find("blk.0.attn_q.weight")->importance(0) == std::vector<float> {1, 2, 0}));
    const InputStats& experts = *read.find("blk.0.ffn_up_exps.weight");
    QVERIFY((experts.importance(0) == std::vector<float> {0.5, 1}));
    QVERIFY((experts.importance(1) == std::vector<float> {1, 1})); // saw nothing
}

void ImatrixTest::readsTheLegacyFormat()
{
    Legacy file;
    file.number(2).text("a").number(2).values({2, 4}).text("b").number(1).values({5}).number(9).text("wiki");
    const Calibration read = imatrixFromBytes(file.span(), "file");
    QVERIFY((read.find("a")->importance(0) == std::vector<float> {1, 2}));
    QVERIFY((read.find("b")->importance(0) == std::vector<float> {5}));
    QCOMPARE(read.chunks, 9L);
    QVERIFY((read.datasets == std::vector<std::string> {"wiki"}));
}

void ImatrixTest::readsTheLegacyFormatWithoutATail()
{
    Legacy file;
    file.number(1).text("a").number(0).values({2, 4});
    const Calibration read = imatrixFromBytes(file.span(), "file");
    QVERIFY((read.find("a")->importance(0) == std::vector<float> {1, 1})); // no calls: nothing is known
    QCOMPARE(read.chunks, 0L);
    QVERIFY(read.datasets.empty());
}

void ImatrixTest::splitsTheRowsOfExperts()
{
    Model model;
    for (const char* name : {"experts", "alike", "other", "absent"})
        model.tensors.push_back(modelmaker::outline(name, {3, 5, 2})); // three experts
    model.tensors.push_back(modelmaker::outline("dense", {5, 6}));
    Legacy file;
    file.number(4).text("experts").number(2).values({2, 4, 6, 8, 10, 12}).text("alike").number(2).values({2, 4});
    file.text("other").number(2).values({2, 4, 6, 8}).text("dense").number(2).values({2, 4, 6, 8, 10, 12});
    Calibration calibration = imatrixFromBytes(file.span(), "file");
    QVERIFY(complaint([&] { inputsOf(model.tensors[0], &calibration); }).contains("1 x 6 values for tensor experts"));
    splitExperts(calibration, model);
    const InputStats* experts = inputsOf(model.tensors[0], &calibration);
    if (experts == nullptr)
        QFAIL("nothing is known of the experts");
    QCOMPARE(experts->sumSquares.rows(), 3L);
    QVERIFY((experts->importance(0) == std::vector<float> {1, 2}));
    QVERIFY((experts->importance(1) == std::vector<float> {3, 4}));
    QVERIFY((experts->importance(2) == std::vector<float> {5, 6}));
    QCOMPARE(inputsOf(model.tensors[1], &calibration)->sumSquares.rows(), 1L); // of all experts together
    QVERIFY(complaint([&] { inputsOf(model.tensors[2], &calibration); }).contains("1 x 4 values for tensor other"));
    QVERIFY(!inputsOf(model.tensors[3], &calibration));
    QCOMPARE(inputsOf(model.tensors[4], &calibration)->sumSquares.cols(), 6L);
    splitExperts(calibration, model); // no second time
    QVERIFY((calibration.find("experts")->importance(1) == std::vector<float> {3, 4}));
}

void ImatrixTest::readsARealOne()
{
    const fs::path path = fs::path(QUERN_SHARED_DIR) / "imatrix/tinyllama-shaped.dat";
    if (!fs::exists(path))
        QSKIP("imatrix/tinyllama-shaped.dat is absent");
    const Calibration read = readImatrix(path);
    QCOMPARE(read.inputs.size(), std::size_t(154)); // 22 layers of 7
    QCOMPARE(read.chunks, 365L);
    QVERIFY((read.datasets == std::vector<std::string> {"imatrix-training-full-3"}));
    const InputStats& stats = *read.find("blk.18.attn_q.weight");
    QCOMPARE(stats.sumSquares.cols(), 2048L);
    QCOMPARE(stats.counts, std::vector<double> {365});
    QVERIFY(std::abs(stats.sumSquares.sum() - 747515.5903282166) < 1e-3); // summed by another program
    QCOMPARE(stats.importance(0)[0], static_cast<float>(stats.sumSquares(0, 0) / 365));
}

void ImatrixTest::refusesDamagedGguf_data()
{
    QTest::addColumn<int>("tensor");
    QTest::addColumn<float>("value");
    QTest::addColumn<QString>("says");
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    QTest::newRow("a sum that is no number") << 1 << nan << "value 0 of blk.0.attn_q.weight.in_sum2 is nan";
    QTest::newRow("an infinite count") << 0 << infinity << "blk.0.attn_q.weight.counts is inf";
    QTest::newRow("a negative sum") << 3 << -1.0f << "is -1";
    QTest::newRow("no counts") << -1 << 0.0f << "no tensor of as many counts";
    QTest::newRow("too few counts") << -2 << 0.0f << "has 2 rows";
    QTest::newRow("another type") << -3 << 0.0f << "stored as F16";
    QTest::newRow("a model") << -4 << 0.0f << "no importance matrix";
}

void ImatrixTest::refusesDamagedGguf()
{
    QFETCH(int, tensor);
    QFETCH(float, value);
    QFETCH(QString, says);
    Model model = imatrix();
    if (tensor >= 0) {
        auto& buffer = const_cast<sample::Buffer&>(
            dynamic_cast<const sample::Buffer&>(*model.storage[static_cast<std::size_t>(tensor)]));
        std::memcpy(buffer.bytes.data(), &value, sizeof value);
    } else if (tensor == -1) {
        model.tensors.erase(model.tensors.begin());
    } else if (tensor == -2) {
        model.tensors[2].shape = {1};
        model.tensors[2].bytes = model.tensors[2].bytes.first(4);
    } else if (tensor == -3) {
        model.tensors[3].format = findBlockFormat("F16");
        model.tensors[3].bytes = model.tensors[3].bytes.first(8);
    } else {
        model = sample::model();
    }
    const QString said = complaint([&] { readImatrix(written(model)); });
    QVERIFY2(said.contains(says), qPrintable(said));
    QVERIFY2(said.contains("imatrix.gguf"), qPrintable(said));
}

void ImatrixTest::refusesDamagedLegacy_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("says");
    const auto row = [](const char* name, const Legacy& file, const char* says) {
        QTest::newRow(name) << QByteArray::fromStdString(file.bytes) << says;
    };
    constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
    row("empty", {}, "ends within its header");
    row("a text", Legacy().text("hello"), "the list of tensors needs");
    row("no entries", Legacy().number(0), "no tensors");
    row("a negative number of entries", Legacy().number(-1), "number of entries at byte 0 is -1");
    row("more entries than bytes", Legacy().number(kMost), "needs 2147483647 times");
    row("a negative length", Legacy().number(1).number(-1).number(0).number(0).number(0), "length of a name at byte 4");
    row("no name", Legacy().number(1).text("").number(1).values({1, 2}), "no tensor's name");
    row("more values than bytes", Legacy().number(1).text("a").number(1).number(kMost), "needs 2147483647 times 4");
    row("a value that is no number", Legacy().number(1).text("a").number(1).values({NAN}), "is nan");
    row("a name twice", Legacy().number(2).text("a").number(1).values({1}).text("a").number(1).values({1}), "twice");
    row("half a tail", Legacy().number(1).text("a").number(1).values({1}).number(5), "the name of the text");
    row("bytes behind the end", Legacy().number(1).text("a").number(1).values({1}).number(5).text("t").number(0),
        "goes on for 4 bytes");
}

void ImatrixTest::refusesDamagedLegacy()
{
    QFETCH(QByteArray, bytes);
    QFETCH(QString, says);
    const QString said = complaint([&] { imatrixFromBytes(std::as_bytes(std::span(bytes)), "calibration.dat"); });
    QVERIFY2(said.contains(says), qPrintable(said));
    QVERIFY2(said.contains("calibration.dat"), qPrintable(said));
}

void ImatrixTest::survivesEveryCut()
{
    Legacy file;
    file.number(2).text("a").number(2).values({2, 4}).text("b").number(1).values({5});
    const std::size_t whole = file.bytes.size(); // a file without a tail is whole, too
    file.number(9).text("wiki");
    for (std::size_t length = 0; length < file.bytes.size(); ++length)
        QCOMPARE(complaint([&] { imatrixFromBytes(file.span().first(length), "file"); }).isEmpty(), length == whole);
}

void ImatrixTest::refusesTheHostileOne()
{
    const fs::path path = fs::path(QUERN_SHARED_DIR) / "malformed/gguf/94_legacy_imatrix_neg_len.gguf";
    if (!fs::exists(path))
        QSKIP("malformed/gguf/94_legacy_imatrix_neg_len.gguf is absent");
    const QString said = complaint([&] { readImatrix(path); });
    QVERIFY2(said.contains("length of a name at byte 4 is -1"), qPrintable(said));
}

QTEST_GUILESS_MAIN(ImatrixTest)
#include "tst_imatrix.moc"
