#include "core/network.h"
#include "tests/core/tinymodels.h"

#include <QTest>

#include <limits>

// What is read of a model before it runs, and what is refused with a sentence.
class NetworkTest final : public QObject {
    Q_OBJECT

private slots:
    void readsSizes();
    void knowsLocalBlocks();
    void stretchesPositions();
    void refusesMetadata_data();
    void refusesMetadata();
    void refusesTensors_data();
    void refusesTensors();
    void refusesFamilies();
    void outlivesTheModel();
};

namespace {

using namespace quern;

// What openNetwork says; empty if it is content.
QString complaint(const Model& model)
{
    try {
        static_cast<void>(openNetwork(model));
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

void NetworkTest::readsSizes()
{
    const Network network = openNetwork(tiny::modelOf("qwen2moe"));
    const Sizes& s = network.sizes;
    QCOMPARE(s.blocks, 2L);
    QCOMPARE(s.width, 64L);
    QCOMPARE(s.vocabulary, 120L);
    QCOMPARE(s.context, 128L);
    QCOMPARE(s.heads, 4L);
    QCOMPARE(s.kvHeads, 2L);
    QCOMPARE(s.headSize, 16L);
    QCOMPARE(s.experts, 5L);
    QCOMPARE(s.expertsUsed, 2L);
    QCOMPARE(s.expertFeedForward, 48L);
    QCOMPARE(s.sharedFeedForward, 80L);
    QCOMPARE(network.head.weight.name, "output.weight");
    QCOMPARE(openNetwork(tiny::modelOf("llama-tied")).head.weight.name, "token_embd.weight");
}

void NetworkTest::knowsLocalBlocks()
{
    const auto locals = [](const char* row, long blocks) {
        const Network network = openNetwork(tiny::modelOf(row));
        QString pattern;
        for (long block = 0; block < blocks; ++block)
            pattern += network.attention.isLocal(block) ? 'w' : '-';
        return pattern;
    };
    QCOMPARE(locals("gemma2", 4), QString("w-w-"));
    QCOMPARE(locals("gemma3", 12), QString("wwwww-wwwww-"));
    QCOMPARE(locals("gemma3-pattern", 6), QString("ww-ww-"));
    QCOMPARE(locals("phi3-longrope", 2), QString("--")); // as llama.cpp, which does not apply its window
    QCOMPARE(locals("llama", 2), QString("--"));
}

void NetworkTest::stretchesPositions()
{
    const Rotation plain = openNetwork(tiny::modelOf("llama")).attention.rotation;
    QCOMPARE(plain.frequencies.size(), std::size_t(8));
    QCOMPARE(plain.frequencies.front(), 1.0);
    QVERIFY(!plain.halves);
    const Rotation linear = openNetwork(tiny::modelOf("llama-linear")).attention.rotation;
    for (std::size_t i = 0; i < 8; ++i)
        QCOMPARE(linear.frequencies[i], plain.frequencies[i] / 4);

    const Rotation yarn = openNetwork(tiny::modelOf("qwen2-yarn")).attention.rotation;
    QVERIFY(std::abs(yarn.magnitude - (0.1 * std::log(4.0) + 1)) < 1e-6);
    QCOMPARE(yarn.frequencies.front(), 1.0);                                   // stays as it was
    QVERIFY(std::abs(yarn.frequencies[7] - plain.frequencies[7] / 4) < 1e-12); // is stretched

    const Rotation lengthy = openNetwork(tiny::modelOf("phi3-longrope")).attention.rotation;
    QCOMPARE(lengthy.originalContext, 64L);
    QCOMPARE(&lengthy.forSequence(64), &lengthy.frequencies);
    QCOMPARE(&lengthy.forSequence(65), &lengthy.longFrequencies);
    QCOMPARE(lengthy.longFrequencies[2], lengthy.frequencies[2] / 2);
}

void NetworkTest::refusesMetadata_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<QString>("key");
    QTest::addColumn<double>("value"); // NaN: the key is absent
    const double absent = std::numeric_limits<double>::quiet_NaN();
    const auto add = [](const char* row, const char* key, double value) {
        QTest::addRow("%s %s %g", row, key, value) << row << key << value;
    };
    for (const char* key : {"llama.block_count", "llama.embedding_length", "llama.context_length",
                            "llama.attention.head_count", "llama.feed_forward_length"})
        for (const double value : {absent, 0.0, -1.0, 1e6, 4294967295.0})
            if (std::string_view(key) != "llama.context_length" || !(value > 0))
                add("llama", key, value);
    for (const double value : {0.0, 3.0, 8.0, -2.0, 4294967295.0})
        add("llama", "llama.attention.head_count_kv", value);
    for (const double value : {0.0, 15.0, 4294967295.0, 1073741824.0})
        add("llama", "llama.attention.key_length", value);
    add("llama", "llama.attention.value_length", 17);
    for (const double value : {0.0, 1.0, 3.0, 18.0, -1.0})
        add("llama", "llama.rope.dimension_count", value);
    for (const double value : {absent, 0.0, -1e-5})
        add("llama", "llama.attention.layer_norm_rms_epsilon", value);
    for (const double value : {0.0, 1.0, -5.0})
        add("llama", "llama.rope.freq_base", value);
    add("llama-linear", "llama.rope.scaling.factor", -4);
    for (const char* row : {"gemma2", "gemma3"})
        for (const double value : {0.0, -1.0})
            add(row,
                std::string_view(row) == "gemma2" ? "gemma2.attention.sliding_window"
                                                  : "gemma3.attention.sliding_window",
                value);
    add("gemma2", "gemma2.attn_logit_softcapping", 0);
    add("gemma2", "gemma2.final_logit_softcapping", -1);
    for (const double value : {absent, 0.0, -1.0, 6.0, 4294967295.0})
        add("qwen3moe", "qwen3moe.expert_used_count", value);
    for (const double value : {absent, 0.0, 4.0, 4294967295.0})
        add("qwen3moe", "qwen3moe.expert_count", value);
    add("qwen2moe", "qwen2moe.expert_shared_feed_forward_length", 79);
    add("gpt2", "gpt2.context_length", 129);
    add("gpt2", "gpt2.attention.layer_norm_epsilon", absent);
}

void NetworkTest::refusesMetadata()
{
    QFETCH(QString, row);
    QFETCH(QString, key);
    QFETCH(double, value);
    Model model = tiny::modelOf(row);
    QCOMPARE(complaint(model), QString());
    if (std::isnan(value))
        model.metadata.remove(key.toStdString());
    else if (value == std::floor(value))
        model.metadata.set(key.toStdString(), static_cast<std::int64_t>(value));
    else
        model.metadata.set(key.toStdString(), value);
    const QString said = complaint(model);
    QVERIFY2(said.endsWith('.') && said.size() > 30, qPrintable(said));
    // Another kind of value is refused as well.
    model.metadata.set(key.toStdString(), std::string("x"));
    QVERIFY(complaint(model).contains(key));
}

void NetworkTest::refusesTensors_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<QString>("tensor");
    const std::vector<std::pair<const char*, std::vector<const char*>>> all {
        {"llama", {"token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight", "blk.1.ffn_down.weight"}},
        {"qwen2-yarn", {"blk.0.attn_k.bias", "blk.1.attn_norm.weight"}},
        {"gemma3", {"blk.0.attn_q_norm.weight", "blk.3.post_ffw_norm.weight"}},
        {"phi3", {"blk.0.attn_qkv.weight", "blk.0.ffn_up.weight"}},
        {"gpt2", {"position_embd.weight", "output_norm.bias", "blk.1.ffn_up.bias"}},
        {"qwen2moe", {"blk.0.ffn_gate_inp.weight", "blk.1.ffn_up_exps.weight", "blk.1.ffn_down_shexp.weight"}}};
    for (const auto& [row, tensors] : all)
        for (const char* tensor : tensors)
            QTest::addRow("%s %s", row, tensor) << row << tensor;
}

void NetworkTest::refusesTensors()
{
    QFETCH(QString, row);
    QFETCH(QString, tensor);
    Model model = tiny::modelOf(row);
    const auto it = std::ranges::find(model.tensors, tensor.toStdString(), &Tensor::name);
    QVERIFY(it != model.tensors.end());
    ++it->shape.back();
    QVERIFY(complaint(model).contains(tensor));
    model.tensors.erase(it);
    QVERIFY(complaint(model).contains(tensor));
}

void NetworkTest::refusesFamilies()
{
    Model model = tiny::modelOf("gpt2");
    model.metadata.set("general.architecture", std::string("mamba"));
    QVERIFY(complaint(model).contains("mamba"));
    model.metadata.remove("general.architecture");
    QVERIFY(complaint(model).contains("general.architecture"));

    model = tiny::modelOf("llama");
    model.metadata.set("llama.rope.scaling.type", std::string("other"));
    QVERIFY(complaint(model).contains("llama.rope.scaling.type"));
    modelmaker::add(model, "rope_freqs.weight", {8}, {1, 1, 1, 1, 1, 1, 1, 0});
    model.metadata.remove("llama.rope.scaling.type");
    QVERIFY(complaint(model).contains("rope_freqs.weight"));
}

void NetworkTest::outlivesTheModel()
{
    auto model = std::make_unique<Model>(tiny::modelOf("llama"));
    const Network network = openNetwork(*model);
    const Matrix before = decoded(network.blocks[1].down->weight);
    model.reset();
    QVERIFY(decoded(network.blocks[1].down->weight) == before);
    network.check();
}

QTEST_GUILESS_MAIN(NetworkTest)
#include "tst_network.moc"
