#include "core/preset.h"

#include "core/modelmaker.h"

#include <QtTest>

#include <fstream>
#include <set>
#include <sstream>

using namespace quern;

namespace {

// "attn_v.weight" of layers -> "q6_K[0-3,6] q4_K[4-5]", as the golden tables write it.
std::string ranges(const std::vector<int>& layers)
{
    std::string text;
    for (std::size_t i = 0; i < layers.size();) {
        std::size_t last = i;
        while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1)
            ++last;
        text += (text.empty() ? "" : ",") + std::to_string(layers[i]);
        if (last > i)
            text += '-' + std::to_string(layers[last]);
        i = last + 1;
    }
    return text;
}

// ggml writes its types in lower case, but for the K.
std::string ggmlName(std::string_view name)
{
    std::string text;
    for (const char c : name)
        text += c == 'K' ? c : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

struct Kind {
    std::vector<std::string> types; // in the order of their first layers
    std::map<std::string, std::vector<int>> layers;
    void add(const std::string& type, int layer)
    {
        if (!layers.contains(type))
            types.push_back(type);
        layers[type].push_back(layer);
    }
    std::string text() const
    {
        if (types.size() == 1)
            return types.front();
        std::string all;
        for (const std::string& type : types)
            all += (all.empty() ? "" : " ") + type + '[' + ranges(layers.at(type)) + ']';
        return all;
    }
};

std::string table(const Preset& preset, const Model& model, bool withImportance)
{
    const std::vector<PresetType> types = typesOf(preset, model, withImportance);
    std::map<std::string, Kind> kinds;
    double bytes = 0;
    for (std::size_t i = 0; i < types.size(); ++i) {
        const Tensor& tensor = model.tensors[i];
        const BlockFormat& format = types[i].format ? *types[i].format : *tensor.format;
        bytes += static_cast<double>(tensor.rows()) * static_cast<double>(format.rowBytes(tensor.cols()));
        if (types[i].format)
            kinds[std::string(kindOf(tensor.name))].add(ggmlName(format.name), layerOf(tensor.name));
    }
    char head[100];
    std::snprintf(head, sizeof head, "%-9s %.2f BPW %.2f MiB |", std::string(preset.name).c_str(),
                  8 * bytes / static_cast<double>(model.parameters()), bytes / 1048576);
    std::string text = head;
    const char* separator = " ";
    for (const char* kind :
         {"output", "token_embd", "attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"}) {
        text += separator + std::string(kind) + ": " + kinds[kind].text();
        separator = "; ";
    }
    return text;
}

} // namespace

class TestPreset : public QObject {
    Q_OBJECT

private slots:
    void givesWhatLlamaQuantizeGives_data();
    void givesWhatLlamaQuantizeGives();
    void knowsEveryFileTypeOnce();
    void isFoundInAnyCase();
    void fallsBackWhereRowsDoNotFit_data();
    void fallsBackWhereRowsDoNotFit();
    void tiedEmbeddingsServeAsOutput();
    void expertsGetTheirOwnMix();
    void leavesAlone_data();
    void leavesAlone();
};

void TestPreset::givesWhatLlamaQuantizeGives_data()
{
    QTest::addColumn<QString>("expected");
    QTest::addColumn<bool>("llama31");
    QTest::addColumn<bool>("withImportance");
    const auto rows = [](const char* file, bool llama31, bool withImportance) {
        std::ifstream lines(std::string(QUERN_SHARED_DIR "/mixes/") + file);
        std::string line;
        while (std::getline(lines, line))
            QTest::addRow("%s %s", file, line.substr(0, line.find(' ')).c_str())
                << QString::fromStdString(line) << llama31 << withImportance;
    };
    rows("llama-3.1-8b.txt", true, false);
    rows("llama-3.1-8b-with-imatrix.txt", true, true);
    rows("llama-2-7b.txt", false, false);
    if (!QFile::exists(QUERN_SHARED_DIR "/mixes"))
        QTest::addRow("no tables") << QString() << false << false;
}

void TestPreset::givesWhatLlamaQuantizeGives()
{
    QFETCH(QString, expected);
    QFETCH(bool, llama31);
    QFETCH(bool, withImportance);
    if (expected.isEmpty())
        QSKIP("The tables of llama-quantize, shared/mixes, are not on this machine.");
    const Preset* preset = findPreset(expected.section(' ', 0, 0).toStdString());
    QVERIFY(preset);
    const Model model = modelmaker::llama(llama31 ? modelmaker::kLlama31 : modelmaker::kLlama2);
    QCOMPARE(QString::fromStdString(table(*preset, model, withImportance)), expected);
}

void TestPreset::knowsEveryFileTypeOnce()
{
    std::set<std::uint32_t> numbers;
    std::set<std::string_view> names;
    for (const Preset& preset : presets()) {
        QVERIFY2(numbers.insert(preset.fileType).second, preset.name.data());
        QVERIFY2(names.insert(preset.name).second, preset.name.data());
        QVERIFY2(preset.format.empty() || findBlockFormat(preset.format), preset.name.data());
    }
    // LLAMA_FTYPE of every type that llama-quantize offers.
    for (const std::uint32_t number : {0,  1,  2,  3,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                       21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 36, 37, 38, 40, 41})
        QVERIFY2(numbers.contains(number), std::to_string(number).c_str());
}

void TestPreset::isFoundInAnyCase()
{
    QCOMPARE(findPreset("q4_k_m"), findPreset("Q4_K_M"));
    QCOMPARE(findPreset("Q5_K"), findPreset("Q5_K_M"));
    QVERIFY(!findPreset("Q4_K_X"));
    QVERIFY(!findPreset(""));
}

void TestPreset::fallsBackWhereRowsDoNotFit_data()
{
    QTest::addColumn<QString>("preset");
    QTest::addColumn<int>("cols");
    QTest::addColumn<QString>("becomes");
    QTest::addRow("Q4_K") << "Q4_K_S" << 96 << "Q5_0";
    QTest::addRow("Q5_K") << "Q5_K_S" << 96 << "Q5_1";
    QTest::addRow("Q6_K") << "Q6_K" << 96 << "Q8_0";
    QTest::addRow("Q3_K") << "Q3_K_S" << 96 << "Q4_0";
    QTest::addRow("IQ4_XS") << "IQ4_XS" << 96 << "IQ4_NL";
    QTest::addRow("TQ2_0") << "TQ2_0" << 96 << "Q4_0";
    QTest::addRow("no multiple of 32") << "Q4_K_S" << 172 << "F16";
    QTest::addRow("small block") << "Q4_0" << 172 << "F16";
}

void TestPreset::fallsBackWhereRowsDoNotFit()
{
    QFETCH(QString, preset);
    QFETCH(int, cols);
    QFETCH(QString, becomes);
    Model model = modelmaker::llama(
        {.layers = 8, .width = 512, .hidden = 512, .keyWidth = 512, .vocabulary = 512, .heads = 4, .keyHeads = 4});
    model.tensors.push_back(modelmaker::outline("blk.7.ffn_up.extra.weight", {64, cols}));
    const PresetType type = typesOf(*findPreset(preset.toStdString()), model, false).back();
    QCOMPARE(QString::fromUtf8(type.format->name.data(), static_cast<int>(type.format->name.size())), becomes);
    QVERIFY(type.asked);
    QVERIFY(!type.asked->fits(cols));
}

void TestPreset::tiedEmbeddingsServeAsOutput()
{
    modelmaker::Shape shape = modelmaker::kLlama2;
    shape.tied = true;
    const Model model = modelmaker::llama(shape);
    QCOMPARE(typesOf(*findPreset("Q4_K_M"), model, false).front().format->name, "Q6_K");
    QCOMPARE(typesOf(*findPreset("IQ2_XS"), model, false).front().format->name, "Q5_K");
    QCOMPARE(typesOf(*findPreset("Q8_0"), model, false).front().format->name, "Q8_0");
}

void TestPreset::expertsGetTheirOwnMix()
{
    Model model = modelmaker::llama(
        {.layers = 8, .width = 512, .hidden = 512, .keyWidth = 128, .vocabulary = 512, .heads = 4, .keyHeads = 1});
    model.metadata.set("llama.expert_count", std::uint32_t {8});
    for (int layer = 0; layer < 8; ++layer)
        model.tensors.push_back(
            modelmaker::outline("blk." + std::to_string(layer) + ".ffn_down_exps.weight", {8, 512, 512}));
    const auto typeOf = [&](const char* preset, std::string_view name) {
        const auto types = typesOf(*findPreset(preset), model, false);
        for (std::size_t i = 0; i < types.size(); ++i)
            if (model.tensors[i].name == name)
                return types[i].format->name;
        return std::string_view();
    };
    QCOMPARE(typeOf("Q4_K_M", "blk.3.attn_v.weight"), "Q8_0");
    QCOMPARE(typeOf("Q4_K_M", "blk.3.attn_k.weight"), "Q8_0");
    QCOMPARE(typeOf("Q4_K_M", "blk.3.attn_output.weight"), "Q5_K");
    QCOMPARE(typeOf("Q4_K_M", "blk.0.ffn_down_exps.weight"), "Q6_K"); // by its layer's number, not by counting
    QCOMPARE(typeOf("Q4_K_M", "blk.1.ffn_down_exps.weight"), "Q4_K");
    QCOMPARE(typeOf("MXFP4_MOE", "blk.1.ffn_down_exps.weight"), "MXFP4");
    QCOMPARE(typeOf("MXFP4_MOE", "blk.1.ffn_down.weight"), "Q8_0");
}

void TestPreset::leavesAlone_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("matrix");
    QTest::addColumn<bool>("expected");
    QTest::addRow("matrix") << "blk.0.attn_q.weight" << true << true;
    QTest::addRow("vector") << "blk.0.attn_q.weight" << false << false;
    QTest::addRow("bias") << "blk.0.attn_q.bias" << true << false;
    QTest::addRow("norm") << "blk.0.attn_norm.weight" << true << false;
    QTest::addRow("router") << "blk.0.ffn_gate_inp.weight" << true << false;
    QTest::addRow("convolution") << "blk.0.ssm_conv1d.weight" << true << false;
    QTest::addRow("positions") << "position_embd.weight" << true << false;
    QTest::addRow("unknown family") << "transformer.h.0.mlp.c_fc.weight" << true << true;
}

void TestPreset::leavesAlone()
{
    QFETCH(QString, name);
    QFETCH(bool, matrix);
    QFETCH(bool, expected);
    const std::vector<long> shape = matrix ? std::vector<long> {64, 64} : std::vector<long> {1, 64};
    QCOMPARE(mayQuantize(modelmaker::outline(name.toStdString(), shape)), expected);
}

QTEST_GUILESS_MAIN(TestPreset)
#include "tst_preset.moc"
