#include "core/safetensors.h"
#include "tests/core/samplemodel.h"

#include <QTest>

namespace fs = std::filesystem;
using namespace quern;
using testfiles::complaint, testfiles::put;

namespace {

std::string fileOf(std::string_view header, std::string_view data)
{
    const std::uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    return bytes.append(header).append(data);
}

QString complaintOf(std::string_view bytes)
{
    return complaint([&] { safetensors::tensors(std::as_bytes(std::span(bytes)), "model.safetensors"); });
}

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, int begin, int end)
{
    return QString("\"%1\":{\"dtype\":\"%2\",\"shape\":%3,\"data_offsets\":[%4,%5]}")
        .arg(QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size())),
             QString::fromUtf8(dtype.data(), static_cast<qsizetype>(dtype.size())),
             QString::fromUtf8(shape.data(), static_cast<qsizetype>(shape.size())))
        .arg(begin)
        .arg(end)
        .toStdString();
}

std::string one(std::string_view name, std::string_view data)
{
    return fileOf(
        '{' + entry(name, "U8", '[' + std::to_string(data.size()) + ']', 0, static_cast<int>(data.size())) + '}', data);
}

// A configuration of a family that nobody knows: names stay as they are.
constexpr std::string_view kUnknown = R"({"architectures": ["UnknownForCausalLM"], "model_type": "unknown"})";

} // namespace

class SafetensorsTest final : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;

    void index(std::string_view map) const
    {
        put(m_folder / "model.safetensors.index.json", "{\"weight_map\":" + std::string(map) + '}');
    }
    QString opening() const
    {
        return complaint([&] { openModel(m_folder); });
    }

private slots:
    void init();
    void readsEveryTypeWhereverItLies_data();
    void readsEveryTypeWhereverItLies();
    void listsTensorsInTheOrderOfTheirBytes();
    void takesWhatIsUnusualButAllowed();
    void refusesWhatMakesNoSense_data();
    void refusesWhatMakesNoSense();
    void survivesEveryCut();
    void survivesEveryFlippedByte();
    void opensAFileAlone();
    void opensAFileBesideItsConfiguration();
    void opensAFolderInParts();
    void opensTheWholeModelByAnyPart();
    void opensAPartWhoseOthersAreMissing();
    void saysWhatIsWrongWithAnIndex();
    void saysWhatAFolderLacks();
    void namesARealModelAsGgufDoes();
};

void SafetensorsTest::init()
{
    m_folder.renew();
}

void SafetensorsTest::readsEveryTypeWhereverItLies_data()
{
    QTest::addColumn<QString>("dtype");
    QTest::addColumn<QByteArray>("one"); // 1 and -1, or 1 and 0 where there is no sign
    QTest::addColumn<float>("other");
    const auto row = [](const char* dtype, const char* bytes, float other) {
        QTest::newRow(dtype) << dtype << QByteArray::fromHex(bytes) << other;
    };
    row("F64", "000000000000f03f000000000000f0bf", -1);
    row("F32", "0000803f000080bf", -1);
    row("F16", "003c00bc", -1);
    row("BF16", "803f80bf", -1);
    row("F8_E4M3", "38b8", -1);
    row("F8_E5M2", "3cbc", -1);
    row("I64", "0100000000000000ffffffffffffffff", -1);
    row("I32", "01000000ffffffff", -1);
    row("I16", "0100ffff", -1);
    row("I8", "01ff", -1);
    row("U64", "01000000000000000000000000000000", 0);
    row("U32", "0100000000000000", 0);
    row("U16", "01000000", 0);
    row("U8", "0100", 0);
    row("BOOL", "0100", 0);
}

void SafetensorsTest::readsEveryTypeWhereverItLies()
{
    QFETCH(QString, dtype);
    QFETCH(QByteArray, one);
    QFETCH(float, other);
    for (std::size_t padding = 0; padding < 8; ++padding) {
        const std::string header = '{' + entry("w", dtype.toStdString(), "[1,2]", 0, static_cast<int>(one.size())) + '}'
            + std::string(padding, ' ');
        const std::string bytes = fileOf(header, one.toStdString());
        const auto tensors = safetensors::tensors(std::as_bytes(std::span(bytes)), "file");
        QCOMPARE(tensors.size(), std::size_t(1));
        QCOMPARE(tensors[0].offset, static_cast<std::uint64_t>(8 + header.size()));
        QVERIFY((tensors[0].shape == std::vector<long> {1, 2}));
        const Matrix w = decoded(tensors[0]);
        QCOMPARE(w(0, 0), 1.0f);
        QCOMPARE(w(0, 1), other);
    }
}

void SafetensorsTest::listsTensorsInTheOrderOfTheirBytes()
{
    const std::string bytes
        = fileOf('{' + entry("a", "U8", "[2]", 3, 5) + ',' + entry("b", "U8", "[3]", 0, 3) + '}', "bbbaa");
    const auto tensors = safetensors::tensors(std::as_bytes(std::span(bytes)), "file");
    QVERIFY(tensors[0].name == "b" && tensors[1].name == "a");
    QVERIFY(tensors[1].bytes[0] == std::byte('a'));
}

void SafetensorsTest::takesWhatIsUnusualButAllowed()
{
    QCOMPARE(complaintOf(fileOf("{}", "")), QString());
    QCOMPARE(complaintOf(fileOf("{}   ", "")), QString());
    QCOMPARE(complaintOf(fileOf(R"({"__metadata__":{"format":"pt"}})", "")), QString());
    QCOMPARE(complaintOf(fileOf('{' + entry("scalar", "F32", "[]", 0, 4) + '}', "xxxx")), QString());
    QCOMPARE(complaintOf(fileOf('{' + entry("none", "F32", "[0,4]", 0, 0) + '}', "")), QString());
    QCOMPARE(complaintOf(fileOf('{' + entry("M\xC3\xBChle", "U8", "[1]", 0, 1) + '}', "x")), QString());
}

void SafetensorsTest::refusesWhatMakesNoSense_data()
{
    QTest::addColumn<QByteArray>("header");
    QTest::addColumn<QString>("says");
    const auto row = [](const char* name, std::string_view header, const char* says) {
        QTest::newRow(name) << QByteArray(header.data(), static_cast<qsizetype>(header.size())) << says;
    };
    const std::string good = entry("w", "U8", "[4]", 0, 4);
    row("nothing", "", "no valid JSON");
    row("a list", "[]", "a list where an object");
    row("a number", "1", "1 where an object");
    row("a number for a tensor", R"({"w":1})", "1 where an object");
    row("a list for a tensor", R"({"w":[]})", "a list where an object");
    row("an object in a tensor", R"({"w":{"shape":{}}})", "an object for w");
    row("a list in a list", R"({"w":{"shape":[[1]]}})", "a list for w");
    row("null for a type", R"({"w":{"dtype":null}})", "null for w");
    row("a text for a shape", R"({"w":{"shape":"4"}})", "\"4\" for w");
    row("a text in a shape", R"({"w":{"shape":["4"]}})", "\"4\" for w");
    row("a negative dimension", R"({"w":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "-4 for w");
    row("a dimension beyond 64 bits", R"({"w":{"shape":[18446744073709551616]}})", "18446744073709551616 for w");
    row("no type", R"({"w":{"shape":[4],"data_offsets":[0,4]}})", "lacks one of");
    row("no shape", R"({"w":{"dtype":"U8","data_offsets":[0,4]}})", "lacks one of");
    row("no offsets", R"({"w":{"dtype":"U8","shape":[4]}})", "lacks one of");
    row("two shapes", R"({"w":{"shape":[4],"shape":[4]}})", "two entries shape");
    row("something unknown", R"({"w":{"sparse":true}})", "an entry sparse for tensor w");
    row("one offset", R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", "no begin and end");
    row("offsets the wrong way", R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "no begin and end");
    row("a type in small letters", '{' + entry("w", "u8", "[4]", 0, 4) + '}', "the dtype u8");
    row("a block format for a type", '{' + entry("w", "Q8_0", "[4]", 0, 4) + '}', "the dtype Q8_0");
    row("a gap at the start", '{' + entry("w", "U8", "[3]", 1, 4) + '}', "1 bytes of the data before tensor w");
    row("a gap between", '{' + entry("v", "U8", "[1]", 0, 1) + ',' + entry("w", "U8", "[1]", 3, 4) + '}',
        "2 bytes of the data before tensor w");
    row("bytes behind", '{' + entry("w", "U8", "[3]", 0, 3) + '}', "1 bytes behind the last tensor");
    row("half a value", '{' + entry("w", "U32", "[1]", 0, 3) + '}', "has 1 weights of type U32, but 3 bytes");
    row("no name", '{' + entry("", "U8", "[4]", 0, 4) + '}', "is empty");
    row("a zero in a name", '{' + entry("a\\u0000b", "U8", "[4]", 0, 4) + '}', "contains a zero");
    row("many dimensions", '{' + entry("w", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4]", 0, 4) + '}', "17 dimensions");
    row("rows without weights", '{' + entry("w", "U8", "[1099511627776,0]", 0, 0) + '}', "1099511627776");
    row("something behind the header", '{' + good + "} {}", "no valid JSON");
    row("a text for metadata", R"({"__metadata__":"pt"})", "\"pt\" where an object");
    row("a number in metadata", R"({"__metadata__":{"a":1}})", "1 for __metadata__");
}

void SafetensorsTest::refusesWhatMakesNoSense()
{
    QFETCH(QByteArray, header);
    QFETCH(QString, says);
    const QString said = complaintOf(fileOf(header.toStdString(), "data"));
    QVERIFY2(said.contains(says), qPrintable(said));
    QVERIFY2(said.contains("model.safetensors"), qPrintable(said));
}

void SafetensorsTest::survivesEveryCut()
{
    const std::string bytes = one("w", "data");
    for (std::size_t length = 0; length < bytes.size(); ++length)
        QVERIFY(!complaintOf(std::string_view(bytes).substr(0, length)).isEmpty());
    QVERIFY(complaintOf(bytes).isEmpty());
}

void SafetensorsTest::survivesEveryFlippedByte()
{
    const std::string bytes = one("w", "data");
    int opened = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (const int flip : {0x01, 0x20, 0x80, 0xFF}) {
            std::string copy = bytes;
            copy[i] = static_cast<char>(copy[i] ^ flip);
            opened += complaintOf(copy).isEmpty();
        }
    QVERIFY(opened >= 16); // at least what changes weights only
}

void SafetensorsTest::opensAFileAlone()
{
    put(m_folder / "lora.safetensors", one("some.name", "data"));
    const Model model = openModel(m_folder / "lora.safetensors");
    QVERIFY(model.container && model.container->name == "safetensors");
    QVERIFY(model.tensors.size() == 1 && model.tensors[0].name == "some.name");
    QVERIFY(model.warnings.empty());
    QVERIFY(model.obstacle && QString(model.obstacle->what()).contains("no config.json beside it"));
    NoProgress progress;
    QVERIFY_EXCEPTION_THROWN(writeModel(model, m_folder / "out.gguf", false, progress), Error);
    QVERIFY(!fs::exists(m_folder / "out.gguf"));
}

void SafetensorsTest::opensAFileBesideItsConfiguration()
{
    put(m_folder / "config.json", kUnknown);
    put(m_folder / "model.safetensors", one("some.name", "data"));
    const Model file = openModel(m_folder / "model.safetensors"), folder = openModel(m_folder);
    for (const Model* model : {&file, &folder}) {
        QVERIFY(model->tensors.size() == 1 && model->tensors[0].name == "some.name");
        QVERIFY(model->obstacle && QString(model->obstacle->what()).contains("UnknownForCausalLM"));
        QCOMPARE(model->fileBytes, fs::file_size(m_folder / "model.safetensors"));
    }
    QVERIFY(file.sourceHash == folder.sourceHash && file.sourceHash.size() == 64);
}

void SafetensorsTest::opensAFolderInParts()
{
    put(m_folder / "config.json", kUnknown);
    put(m_folder / "model-00001-of-00002.safetensors", one("a", "data"));
    put(m_folder / "model-00002-of-00002.safetensors", one("b", "more"));
    const Model unsure = openModel(m_folder);
    QCOMPARE(unsure.tensors.size(), std::size_t(2));
    QVERIFY(unsure.warnings.size() == 1 && unsure.warnings[0].find("cannot be told") != std::string::npos);

    index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
    put(m_folder / "other.safetensors", "is not in the index");
    const Model model = openModel(m_folder);
    QVERIFY(model.warnings.empty());
    QVERIFY(model.find("a") && model.find("b")->bytes[0] == std::byte('m'));
    QCOMPARE(model.storage.size(), std::size_t(2));
}

void SafetensorsTest::opensTheWholeModelByAnyPart()
{
    put(m_folder / "config.json", kUnknown);
    put(m_folder / "model-00001-of-00002.safetensors", one("a", "data"));
    put(m_folder / "model-00002-of-00002.safetensors", one("b", "more"));
    put(m_folder / "lora.safetensors", one("c", "else"));
    index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
    const Model folder = openModel(m_folder);
    for (const char* name : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
        const Model model = openModel(m_folder / name);
        QVERIFY(model.warnings.empty());
        QVERIFY(model.tensors.size() == 2 && model.find("a") && model.find("b")->bytes[0] == std::byte('m'));
        QVERIFY(model.path == m_folder / name && model.sourceHash == folder.sourceHash);
        QCOMPARE(*model.metadata.text("general.name"), *folder.metadata.text("general.name"));
    }
    const Model other = openModel(m_folder / "lora.safetensors"); // is not in the index
    QVERIFY(other.tensors.size() == 1 && other.find("c") && other.warnings.empty());
    index("{");
    QVERIFY(complaint([&] { openModel(m_folder / "model-00001-of-00002.safetensors"); }).contains("index.json"));
}

void SafetensorsTest::opensAPartWhoseOthersAreMissing()
{
    const fs::path part = m_folder / "model-00002-of-00002.safetensors";
    const auto opens = [&](const char* missing) {
        const Model model = openModel(part);
        QVERIFY(model.tensors.size() == 1 && model.find("b"));
        QVERIFY(model.warnings.size() == 1);
        QVERIFY2(model.warnings[0].find(std::string(missing) + " is not there: its 1 tensors") != std::string::npos,
                 model.warnings[0].c_str());
        QVERIFY(model.obstacle && QString(model.obstacle->what()).contains("one part of a model"));
    };
    put(part, one("b", "more"));
    opens("model.safetensors.index.json"); // by its name
    put(m_folder / "config.json", kUnknown);
    opens("model.safetensors.index.json");
    index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
    opens("model-00001-of-00002.safetensors");
    QVERIFY(opening().contains("model-00001-of-00002.safetensors is missing")); // who opens the folder wants all of it
    put(m_folder / "model-00001-of-00001.safetensors", one("whole", "data"));
    QVERIFY(openModel(m_folder / "model-00001-of-00001.safetensors").warnings.empty());
}

void SafetensorsTest::saysWhatIsWrongWithAnIndex()
{
    put(m_folder / "config.json", kUnknown);
    put(m_folder / "a.safetensors", one("a", "data"));
    put(m_folder / "b.safetensors", one("a", "more"));
    const auto says = [&](std::string_view map, const char* expected) {
        index(map);
        const QString said = opening();
        QVERIFY2(said.contains(expected), qPrintable(said));
    };
    says(R"({"a":"a.safetensors","c":"c.safetensors"})", "c.safetensors is missing");
    says(R"({"a":"a.safetensors","b":"b.safetensors"})", "the tensor b is in b.safetensors, but it is not there");
    says(R"({"a":".."})", "name of a file in the same folder");
    says(R"({"a":""})", "name of a file in the same folder");
    says(R"({"a":"a.safetensors\u0000"})", "name of a file in the same folder");
    says(R"({"a":"b\\a.safetensors"})", "name of a file in the same folder");
    says(R"({"a":1})", "names no file for a");
    says("[]", "no entry weight_map");
    says("{", "no valid JSON");
    index(R"({"a":"a.safetensors"})");
    QCOMPARE(opening(), QString());
    put(m_folder / "a.safetensors",
        fileOf('{' + entry("a", "U8", "[2]", 0, 2) + ',' + entry("x", "U8", "[2]", 2, 4) + '}', "data"));
    const Model model = openModel(m_folder);
    QVERIFY(model.warnings.size() == 1 && model.warnings[0].find("1 tensors that") != std::string::npos);
}

void SafetensorsTest::saysWhatAFolderLacks()
{
    QVERIFY(opening().contains("holds no model"));
    put(m_folder / "config.json", kUnknown);
    QVERIFY2(opening().contains("no *.safetensors"), qPrintable(opening()));
    put(m_folder / "pytorch_model.bin", "x");
    QVERIFY2(opening().contains("pytorch_model.bin, which can run programs"), qPrintable(opening()));
    put(m_folder / "a.safetensors", one("a", "data"));
    put(m_folder / "b.safetensors", one("a", "more"));
    QVERIFY2(opening().contains("two tensors named a"), qPrintable(opening()));
}

void SafetensorsTest::namesARealModelAsGgufDoes()
{
    const fs::path folder = fs::path(QUERN_SHARED_DIR) / "models/babyllama-tok361";
    if (!fs::exists(folder))
        QSKIP("models/babyllama-tok361 is absent");
    const Model model = openModel(folder);
    QVERIFY2(model.warnings.empty(), model.warnings.empty() ? "" : model.warnings[0].c_str());
    QVERIFY(!model.obstacle);
    const Tensor* query = model.find("blk.4.attn_q.weight");
    QVERIFY(query && (query->shape == std::vector<long> {128, 128}));
    const fs::path path = m_folder / "model.gguf";
    NoProgress progress;
    writeModel(model, path, false, progress);
    const Model again = openModel(path);
    QVERIFY2(again.warnings.empty(), again.warnings.empty() ? "" : again.warnings[0].c_str());
    for (const Tensor& tensor : model.tensors)
        QVERIFY2(decoded(*again.find(tensor.name)) == decoded(tensor), tensor.name.c_str());
}

QTEST_GUILESS_MAIN(SafetensorsTest)
#include "tst_safetensors.moc"
