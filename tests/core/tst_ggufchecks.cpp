#include "tests/core/samplemodel.h"

#include <QTest>

#include <cstring>

namespace fs = std::filesystem;
using namespace quern;
using sample::sameBytes, sample::writePart, testfiles::complaint, testfiles::contents;

using Change = void (*)(Model&);
Q_DECLARE_METATYPE(Change)

// What a GGUF file may say that is wrong, beyond the corpus of tst_malformed.
class GgufChecksTest final : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;
    NoProgress m_progress;

    fs::path written(const Model& model, const char* name = "model.gguf") const
    {
        return sample::written(model, m_folder / name);
    }

private slots:
    void init();
    void survivesEveryCut();
    void survivesEveryFlippedByte();
    void refusesRowsWithoutWeights();
    void opensModelsInParts();
    void saysWhatIsWrongWithParts();
    void opensAFolderOfOneModel();
    void warnsOfWhatContradictsItself_data();
    void warnsOfWhatContradictsItself();
    void refusesTokenizersThatWouldBeReadBeyondTheirEnd_data();
    void refusesTokenizersThatWouldBeReadBeyondTheirEnd();
    void findsNonFiniteWeights_data();
    void findsNonFiniteWeights();
};

void GgufChecksTest::init()
{
    m_folder.renew();
}

void GgufChecksTest::survivesEveryCut()
{
    const fs::path path = written(sample::model());
    const std::string bytes = contents(path);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        fs::resize_file(path, bytes.size() - 1 - length);
        QVERIFY_EXCEPTION_THROWN(openModel(path), Error);
    }
}

void GgufChecksTest::survivesEveryFlippedByte()
{
    const std::string bytes = contents(written(sample::model()));
    const auto header = static_cast<std::size_t>(openModel(m_folder / "model.gguf").tensors[0].offset);
    int opened = 0;
    for (std::size_t i = 0; i < header; ++i)
        for (const int flip : {0x01, 0x80, 0xFF}) {
            std::string copy = bytes;
            copy[i] = static_cast<char>(copy[i] ^ flip);
            try {
                const auto file = std::as_bytes(std::span(copy));
                const gguf::Directory directory = gguf::directory(file, "file");
                for (const Tensor& tensor : directory.tensors) {
                    const auto end = tensor.offset + tensor.bytes.size();
                    QVERIFY(tensor.bytes.empty() || end <= copy.size());
                    QCOMPARE(tensor.bytes.size(), static_cast<std::size_t>(tensor.rows()) * tensor.rowBytes());
                }
                ++opened;
            } catch (const Error&) {
                continue;
            }
        }
    QVERIFY(opened > 0); // a letter of a name makes no difference
}

// Found by fuzzing: loops over rows would run for years.
void GgufChecksTest::refusesRowsWithoutWeights()
{
    for (const long rows : {1L << 10, 1L << 40}) {
        const gguf::TensorInfo tensor {"w", {rows, 0}, findBlockFormat("F32")};
        const gguf::Layout layout = gguf::layout({}, {&tensor, 1});
        QCOMPARE(complaint([&] { gguf::directory(layout.header, "file"); }).isEmpty(), rows == 1L << 10);
    }
}

void GgufChecksTest::opensModelsInParts()
{
    const Model model = sample::model();
    for (std::uint16_t i = 0; i < 3; ++i)
        writePart(model, m_folder / ("m-0000" + std::to_string(i + 1) + "-of-00003.gguf"), i, 3);
    const Model again = openModel(m_folder / "m-00001-of-00003.gguf");
    QVERIFY(again.warnings.empty() && !again.obstacle);
    QCOMPARE(again.tensors.size(), model.tensors.size());
    for (const Tensor& tensor : model.tensors)
        QVERIFY(again.find(tensor.name) && sameBytes(*again.find(tensor.name), tensor));
    QVERIFY(!again.metadata.find("split.count") && again.metadata.find("array.f64"));
    QCOMPARE(again.storage.size(), std::size_t(3));

    const Model whole = openModel(written(again)); // one file again
    QVERIFY(whole.warnings.empty());
    QCOMPARE(whole.tensors.size(), model.tensors.size());
}

void GgufChecksTest::saysWhatIsWrongWithParts()
{
    const Model model = sample::model();
    const auto part = [&](int i) { return m_folder / ("m-0000" + std::to_string(i) + "-of-00002.gguf"); };
    const auto said = [&](const fs::path& path) { return complaint([&] { openModel(path); }); };
    writePart(model, part(1), 0, 2);
    QVERIFY2(said(part(1)).contains("Part 2 of 2 of the model is missing"), qPrintable(said(part(1))));
    writePart(model, part(2), 1, 2);
    QVERIFY2(said(part(2)).contains("open the first part, m-00001-of-00002.gguf"), qPrintable(said(part(2))));
    QCOMPARE(said(part(1)), QString());

    writePart(model, part(2), 0, 2);
    QVERIFY2(said(part(1)).contains("part 2 of 2 by its name, but its metadata say part 1 of 2"),
             qPrintable(said(part(1))));
    writePart(model, part(2), 1, 3);
    QVERIFY2(said(part(1)).contains("part 2 of 3"), qPrintable(said(part(1))));

    Model fewer = model;
    fewer.tensors.pop_back();
    fewer.tensors.pop_back();
    writePart(fewer, part(2), 1, 2);
    QVERIFY2(said(part(1)).contains("split.tensors.count says 5"), qPrintable(said(part(1))));

    Model twice = model;
    twice.tensors[1].name = twice.tensors[0].name;
    writePart(twice, part(2), 1, 2);
    QVERIFY2(said(part(1)).contains("two tensors named token_embd.weight"), qPrintable(said(part(1))));

    fs::rename(part(1), m_folder / "renamed.gguf");
    const Model renamed = openModel(m_folder / "renamed.gguf");
    QVERIFY(!renamed.warnings.empty() && renamed.obstacle);
    QVERIFY_EXCEPTION_THROWN(writeModel(renamed, m_folder / "x.gguf", false, m_progress), Error);
}

void GgufChecksTest::opensAFolderOfOneModel()
{
    QVERIFY(complaint([&] { openModel(m_folder); }).contains("holds no model"));
    written(sample::model());
    QCOMPARE(openModel(m_folder).tensors.size(), sample::model().tensors.size());
    written(sample::model(), "second.gguf");
    QVERIFY(complaint([&] { openModel(m_folder); }).contains("2 GGUF models"));
}

void GgufChecksTest::warnsOfWhatContradictsItself_data()
{

    QTest::addColumn<Change>("change");
    QTest::addColumn<QString>("says");
    const auto row = [](const char* name, Change change, const char* says) { QTest::newRow(name) << change << says; };
    row(
        "layers", [](Model& m) { m.metadata.set("test.block_count", std::uint32_t(2)); }, "test.block_count is 2");
    row(
        "width", [](Model& m) { m.metadata.set("test.embedding_length", std::uint32_t(65)); }, "rows of token_embd");
    row(
        "special token",
        [](Model& m) {
            m.metadata.set("tokenizer.ggml.tokens", MetaArray(std::vector<std::string> {"a", "b"}));
            m.metadata.set("tokenizer.ggml.bos_token_id", std::uint32_t(2));
        },
        "bos_token_id is 2");
    row(
        "vocabulary", [](Model& m) { m.metadata.set("tokenizer.ggml.tokens", MetaArray(std::vector<std::string>(8))); },
        "8 tokens");
}

void GgufChecksTest::warnsOfWhatContradictsItself()
{
    QFETCH(Change, change);
    QFETCH(QString, says);
    Model model = sample::model();
    change(model);
    const Model again = openModel(written(model));
    QCOMPARE(again.warnings.size(), std::size_t(1));
    QVERIFY2(QString::fromStdString(again.warnings[0]).contains(says), again.warnings[0].c_str());
}

void GgufChecksTest::refusesTokenizersThatWouldBeReadBeyondTheirEnd_data()
{
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("says");
    QTest::newRow("tokens that are no texts") << "tokens"
                                              << "value type 4";
    QTest::newRow("scores that are no floats") << "scores"
                                               << "value type 4";
    QTest::newRow("fewer types than tokens") << "token_type"
                                             << "value type 4";
    QTest::newRow("merges that are no texts") << "merges"
                                              << "value type 4";
    QTest::newRow("no array") << "no array"
                              << "an array is expected";
    QTest::newRow("fewer scores than tokens") << "fewer"
                                              << "has 1 items; 2 are expected";
}

void GgufChecksTest::refusesTokenizersThatWouldBeReadBeyondTheirEnd()
{
    QFETCH(QString, key);
    QFETCH(QString, says);
    Model model = sample::model();
    model.metadata.set("tokenizer.ggml.tokens", MetaArray(std::vector<std::string> {"a", "b"}));
    if (key == "no array")
        model.metadata.set("tokenizer.ggml.tokens", std::string("a"));
    else if (key == "fewer")
        model.metadata.set("tokenizer.ggml.scores", MetaArray(std::vector<float> {1}));
    else
        model.metadata.set("tokenizer.ggml." + key.toStdString(), MetaArray(std::vector<std::uint32_t> {1, 2}));
    const QString said = complaint([&] { gguf::checkMeaning(model, "file"); });
    QVERIFY2(said.contains(says), qPrintable(said));
    QVERIFY(!complaint([&] { written(model); }).isEmpty()); // nor is it written
    QVERIFY(!fs::exists(m_folder / "model.gguf"));
}

void GgufChecksTest::findsNonFiniteWeights_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<QByteArray>("bytes"); // that make a weight of the first block not finite
    QTest::newRow("F32 NaN") << "F32" << QByteArray::fromHex("0000c07f");
    QTest::newRow("F32 infinity") << "F32" << QByteArray::fromHex("000080ff");
    QTest::newRow("F16 infinity") << "F16" << QByteArray::fromHex("007c");
    QTest::newRow("BF16 NaN") << "BF16" << QByteArray::fromHex("c1ff");
    QTest::newRow("F64 NaN") << "F64" << QByteArray::fromHex("000000000000f87f");
    QTest::newRow("Q8_0 scale") << "Q8_0" << QByteArray::fromHex("007e");
    QTest::newRow("Q4_0 scale") << "Q4_0" << QByteArray::fromHex("007c");
    QTest::newRow("MXFP4 scale") << "MXFP4" << QByteArray::fromHex("ff");
    QTest::newRow("NVFP4 scale") << "NVFP4" << QByteArray::fromHex("7f");
}

void GgufChecksTest::findsNonFiniteWeights()
{
    QFETCH(QString, format);
    QFETCH(QByteArray, bytes);
    const BlockFormat* stored = findBlockFormat(format.toStdString());
    QVERIFY(stored);
    for (const bool damaged : {false, true}) {
        Model model;
        Tensor tensor {.name = "w", .shape = {16, 256}, .format = stored};
        const auto buffer = std::make_shared<sample::Buffer>();
        buffer->bytes.assign(16 * tensor.rowBytes(), std::byte {1});
        if (damaged) // the last row but one
            std::memcpy(buffer->bytes.data() + 14 * tensor.rowBytes(), bytes.data(),
                        static_cast<std::size_t>(bytes.size()));
        tensor.bytes = buffer->bytes;
        model.tensors.push_back(tensor);
        model.storage.push_back(buffer);
        const Model again = openModel(written(model));
        QCOMPARE(!again.warnings.empty(), damaged);
        if (damaged)
            QVERIFY2(QString::fromStdString(again.warnings[0]).contains("NaN"), again.warnings[0].c_str());
    }
}

QTEST_GUILESS_MAIN(GgufChecksTest)
#include "tst_ggufchecks.moc"
