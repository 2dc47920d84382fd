#include "tests/core/samplemodel.h"
#include "tests/judge/library.h"

#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTest>

#include <cstring>

namespace fs = std::filesystem;
using namespace quern;
using sample::sameBytes, testfiles::complaint, testfiles::contents, testfiles::put;

namespace {

class Stops final : public Progress {
public:
    void report(double, std::string_view) override { m_stop = true; }
    bool cancelled() const override { return m_stop; }

private:
    bool m_stop = false;
};

} // namespace

class GgufTest final : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;
    NoProgress m_progress;

    fs::path written(const Model& model, const char* name = "model.gguf") const
    {
        return sample::written(model, m_folder / name);
    }

private slots:
    void init();
    void readsWhatItWrote();
    void writesWhereTheLayoutSays();
    void honoursTheAlignment_data();
    void honoursTheAlignment();
    void readsVersionTwo();
    void writesRowsInItsOwnOrder();
    void carriesOtherFormats();
    void refusesWhatGgufCannotHold_data();
    void refusesWhatGgufCannotHold();
    void isReadByGgml();
    void isReadByHuggingFace();
    void replacesItsOwnFileOnlyWhenAllowed();
    void leavesNothingWhenCancelled();
    void leavesNothingWhenTheSourceShrinks();
    void hashesTheHeader();
};

void GgufTest::init()
{
    m_folder.renew();
}

void GgufTest::readsWhatItWrote()
{
    const Model model = sample::model();
    const Model again = openModel(written(model));
    QVERIFY2(again.warnings.empty(), again.warnings.empty() ? "" : again.warnings.front().c_str());
    QVERIFY(again.container && again.container->name == "GGUF");
    QVERIFY(again.path == m_folder / "model.gguf" && again.fileBytes == fs::file_size(again.path));
    QVERIFY(std::ranges::equal(again.metadata.entries(), model.metadata.entries(),
                               [](const auto& a, const auto& b) { return a.key == b.key && a.value == b.value; }));
    QCOMPARE(again.tensors.size(), model.tensors.size());
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        QVERIFY(again.tensors[i].name == model.tensors[i].name);
        QVERIFY(again.tensors[i].shape == model.tensors[i].shape);
        QVERIFY(again.tensors[i].format == model.tensors[i].format);
        QVERIFY(sameBytes(again.tensors[i], model.tensors[i]));
    }
}

void GgufTest::writesWhereTheLayoutSays()
{
    const Model model = sample::model();
    std::vector<gguf::TensorInfo> tensors;
    for (const Tensor& tensor : model.tensors)
        tensors.push_back({tensor.name, tensor.shape, tensor.format});
    const gguf::Layout layout = gguf::layout(model.metadata, tensors);
    const std::string file = contents(written(model));
    QCOMPARE(file.size(), layout.fileBytes);
    QVERIFY(std::memcmp(file.data(), layout.header.data(), layout.header.size()) == 0);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        QCOMPARE(layout.offsets[i] % 32, std::uint64_t(0));
        QVERIFY(
            std::memcmp(file.data() + layout.offsets[i], model.tensors[i].bytes.data(), model.tensors[i].bytes.size())
            == 0);
        QCOMPARE(openModel(m_folder / "model.gguf").tensors[i].offset, layout.offsets[i]);
    }
}

void GgufTest::honoursTheAlignment_data()
{
    QTest::addColumn<uint>("alignment");
    for (const uint alignment : {8u, 64u, 4096u})
        QTest::addRow("%u", alignment) << alignment;
}

void GgufTest::honoursTheAlignment()
{
    QFETCH(uint, alignment);
    Model model = sample::model();
    model.metadata.set("general.alignment", std::uint32_t(alignment));
    const Model again = openModel(written(model));
    QVERIFY(again.warnings.empty());
    std::uint64_t next = again.tensors[0].offset;
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        QCOMPARE(again.tensors[i].offset, next); // no more padding than asked for
        next += (again.tensors[i].bytes.size() + alignment - 1) / alignment * alignment;
        QVERIFY(sameBytes(again.tensors[i], model.tensors[i]));
    }
    QCOMPARE(again.fileBytes, next);
}

void GgufTest::readsVersionTwo()
{
    const Model model = sample::model();
    const fs::path path = written(model);
    std::string bytes = contents(path);
    bytes[4] = 2;
    put(path, bytes);
    QCOMPARE(openModel(path).tensors.size(), model.tensors.size());
}

void GgufTest::writesRowsInItsOwnOrder()
{
    Model model;
    sample::add(model, "blk.0.attn_q.weight", {8, 4}, "F32", 1);
    model.tensors[0].headRows = 4; // rows 0 1 2 3 of a head are 0 2 1 3 in GGUF
    const Matrix w = decoded(model.tensors[0]);
    const Model again = openModel(written(model));
    QCOMPARE(again.tensors[0].headRows, 0L);
    QVERIFY(decoded(again.tensors[0]) == w);
    QVERIFY(!sameBytes(again.tensors[0], model.tensors[0]));
}

void GgufTest::carriesOtherFormats()
{
    int carried = 0;
    for (const BlockFormat* format : blockFormats()) {
        if (format->inGguf() || !format->carrier)
            continue;
        Model model;
        Tensor tensor {.name = "w", .shape = {3, 256}, .format = format};
        if (!format->fits(tensor.cols()))
            continue;
        const auto buffer = std::make_shared<sample::Buffer>();
        buffer->bytes.resize(3 * tensor.rowBytes());
        if (format->encode)
            for (std::size_t row = 0; row < 3; ++row) {
                std::vector<float> x(256);
                for (std::size_t i = 0; i < x.size(); ++i)
                    x[i] = std::sin(static_cast<float>(i * (row + 1)));
                format->encode(*format, x, {.low = -1, .high = 1}, buffer->bytes.data() + row * tensor.rowBytes());
            }
        tensor.bytes = buffer->bytes;
        model.tensors.push_back(tensor);
        model.storage.push_back(buffer);
        const Model again = openModel(written(model));
        QVERIFY(again.tensors[0].format == format->carrier);
        const float difference = (decoded(again.tensors[0]) - decoded(tensor)).cwiseAbs().maxCoeff();
        QVERIFY2(difference <= (format->carry ? 0.0f : 1e-3f), std::string(format->name).c_str());
        ++carried;
    }
    QVERIFY(carried > 0);
}

void GgufTest::refusesWhatGgufCannotHold_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("format");
    QTest::addColumn<QList<int>>("shape");
    QTest::addColumn<QString>("says");
    QTest::newRow("a long name") << QString(64, 'n') << "F32" << QList<int> {4} << "64 bytes";
    QTest::newRow("no name") << ""
                             << "F32" << QList<int> {4} << "0 bytes";
    QTest::newRow("five dimensions") << "t"
                                     << "F32" << QList<int> {1, 1, 1, 1, 4} << "5 dimensions";
    QTest::newRow("a type of others") << "t"
                                      << "BOOL" << QList<int> {4} << "BOOL";
    QTest::newRow("half a block") << "t"
                                  << "Q8_0" << QList<int> {2, 48} << "rows of 48";
}

void GgufTest::refusesWhatGgufCannotHold()
{
    QFETCH(QString, name);
    QFETCH(QString, format);
    QFETCH(QList<int>, shape);
    QFETCH(QString, says);
    const gguf::TensorInfo tensor {
        name.toStdString(), {shape.begin(), shape.end()}, findBlockFormat(format.toStdString())};
    const QString said = complaint([&] { gguf::layout({}, {&tensor, 1}); });
    QVERIFY2(said.contains(says), qPrintable(said));
}

void GgufTest::isReadByGgml()
{
    struct Parameters {
        bool noAllocation;
        void** context;
    };
    judge::Library ggml("libggml-base.so");
    auto* open = ggml.find<void*(const char*, Parameters)>("gguf_init_from_file");
    auto* tensors = ggml.find<std::int64_t(const void*)>("gguf_get_n_tensors");
    auto* entries = ggml.find<std::int64_t(const void*)>("gguf_get_n_kv");
    auto* nameOf = ggml.find<const char*(const void*, std::int64_t)>("gguf_get_tensor_name");
    auto* offsetOf = ggml.find<std::size_t(const void*, std::int64_t)>("gguf_get_tensor_offset");
    auto* dataOffset = ggml.find<std::size_t(const void*)>("gguf_get_data_offset");
    auto* close = ggml.find<void(void*)>("gguf_free");
    auto* freeContext = ggml.find<void(void*)>("ggml_free");
    if (!ggml.reason().empty())
        QSKIP(ggml.reason().c_str());

    const Model model = openModel(written(sample::model()));
    void* context = nullptr;
    void* file = open(model.path.c_str(), {false, &context}); // reads the data, too
    QVERIFY(file);
    QCOMPARE(tensors(file), static_cast<std::int64_t>(model.tensors.size()));
    QCOMPARE(entries(file), static_cast<std::int64_t>(model.metadata.entries().size()));
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const auto index = static_cast<std::int64_t>(i);
        QVERIFY(nameOf(file, index) == model.tensors[i].name);
        QCOMPARE(dataOffset(file) + offsetOf(file, index), model.tensors[i].offset);
    }
    close(file);
    freeContext(context);
}

void GgufTest::isReadByHuggingFace()
{
    const QString folder = QStringLiteral(QUERN_SOURCE_DIR "/tests/judge");
    if (!QDir(folder + "/node_modules/@huggingface/gguf").exists())
        QSKIP("@huggingface/gguf is not installed: npm ci in tests/judge");
    const Model model = openModel(written(sample::model()));
    QProcess node;
    node.start("node", {folder + "/gguf-read.mjs", QString::fromStdString(model.path.string())});
    if (!node.waitForStarted())
        QSKIP("node is not installed");
    QVERIFY(node.waitForFinished(60000));
    QVERIFY2(node.exitCode() == 0, node.readAllStandardError().constData());
    const QJsonObject read = QJsonDocument::fromJson(node.readAllStandardOutput()).object();
    QCOMPARE(read["metadataCount"].toInt(), static_cast<int>(model.metadata.entries().size()));
    const QJsonArray tensors = read["tensors"].toArray();
    QCOMPARE(tensors.size(), static_cast<int>(model.tensors.size()));
    for (int i = 0; i < tensors.size(); ++i) {
        const Tensor& tensor = model.tensors[static_cast<std::size_t>(i)];
        QCOMPARE(tensors[i]["name"].toString().toStdString(), tensor.name);
        QCOMPARE(tensors[i]["dtype"].toString().toStdString(), std::string(tensor.format->name));
        QJsonArray shape;
        for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
            shape.append(static_cast<qint64>(*size));
        QCOMPARE(tensors[i]["shape"].toArray(), shape);
    }
}

void GgufTest::replacesItsOwnFileOnlyWhenAllowed()
{
    const fs::path path = written(sample::model());
    const Model model = openModel(path);
    fs::create_hard_link(path, m_folder / "link.gguf");
    for (const fs::path& target : {path, m_folder / "link.gguf"}) {
        const QString said = complaint([&] { writeModel(model, target, false, m_progress); });
        QVERIFY2(said.contains("belongs to the opened model"), qPrintable(said));
    }
    const std::string before = contents(path);
    writeModel(model, path, true, m_progress);
    QVERIFY(contents(path) == before);
    model.check(); // the replaced file is still there for who has it open
    QVERIFY(sameBytes(model.tensors[0], openModel(path).tensors[0]));
}

void GgufTest::leavesNothingWhenCancelled()
{
    put(m_folder / "model.gguf", "old");
    Stops stops;
    QVERIFY_EXCEPTION_THROWN(writeModel(sample::model(), m_folder / "model.gguf", true, stops), Cancelled);
    QVERIFY(contents(m_folder / "model.gguf") == "old");
    QCOMPARE(m_folder.entries(), 1L);
}

void GgufTest::leavesNothingWhenTheSourceShrinks()
{
    const Model model = openModel(written(sample::model(), "source.gguf"));
    fs::resize_file(m_folder / "source.gguf", model.fileBytes / 2);
    const QString said = complaint([&] { writeModel(model, m_folder / "model.gguf", false, m_progress); });
    QVERIFY2(said.contains("source.gguf"), qPrintable(said));
    QCOMPARE(m_folder.entries(), 1L);
}

void GgufTest::hashesTheHeader()
{
    const std::string hash = openModel(written(sample::model())).sourceHash;
    QCOMPARE(hash.size(), std::size_t(64));
    QVERIFY(openModel(written(sample::model(), "copy.gguf")).sourceHash == hash);
    Model other = sample::model();
    other.metadata.set("u8", std::uint8_t(201));
    QVERIFY(openModel(written(other, "other.gguf")).sourceHash != hash);
}

QTEST_GUILESS_MAIN(GgufTest)
#include "tst_gguf.moc"
