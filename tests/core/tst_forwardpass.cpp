#include "core/parallel.h"
#include "core/preset.h"
#include "core/quantize.h"
#include "tests/core/forwardrun.h"
#include "tests/core/reference.h"
#include "tests/core/tinymodels.h"

#include <QTest>

#include <map>

// What holds of the forward pass whatever the family. What the logits are is in tst_logits.
class ForwardPassTest final : public QObject {
    Q_OBJECT

private slots:
    void equalsTheDefinition_data();
    void equalsTheDefinition();
    void showsEveryMatrixOnceForEachToken_data();
    void showsEveryMatrixOnceForEachToken();
    void showsWhatTheMatrixMultiplies();
    void keepsSequencesApart_data();
    void keepsSequencesApart();
    void doesNotDependOnThreads_data();
    void doesNotDependOnThreads();
    void takesAnyBlockFormat_data();
    void takesAnyBlockFormat();
    void worksOnPartsOfTheTokens();
    void refusesTokens();
    void canBeCancelled_data();
    void canBeCancelled();
    void boundsItsMemory();
};

namespace {

using namespace quern;

void addFamilies()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "qwen2-yarn", "gemma2", "gemma3-pattern", "phi3-longrope"})
        QTest::newRow(row) << row;
    for (const tinygguf::Case& c : tinygguf::cases())
        QTest::newRow(c.row) << c.row;
}

std::vector<int> tokensFor(const Network& network, std::size_t count)
{
    return forwardrun::someTokens(count, network.sizes.vocabulary);
}

bool isExpert(const std::string& name)
{
    return name.find("_exps.") != std::string::npos;
}

// The matrices that tokens go through: all but embeddings, which are looked up.
std::vector<std::string> matricesOf(const Network& network)
{
    std::vector<std::string> names {network.head.weight.name};
    for (const BlockTensors& block : network.blocks) {
        names.push_back(block.output.weight.name);
        for (const auto* part : {&block.query, &block.key, &block.value, &block.fusedHeads, &block.gate, &block.up,
                                 &block.down, &block.router, &block.expertGate, &block.expertUp, &block.expertDown,
                                 &block.sharedRouter, &block.sharedGate, &block.sharedUp, &block.sharedDown})
            if (*part)
                names.push_back((*part)->weight.name);
    }
    return names;
}

Model randomLlama(const modelmaker::Shape& shape, const char* format)
{
    const Model outline = modelmaker::llama(shape);
    Model model;
    model.metadata = outline.metadata;
    model.metadata.set("llama.embedding_length", static_cast<std::uint32_t>(shape.width));
    model.metadata.set("llama.feed_forward_length", static_cast<std::uint32_t>(shape.hidden));
    model.metadata.set("llama.context_length", 64U);
    model.metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    for (const Tensor& tensor : outline.tensors)
        modelmaker::add(model, tensor.name, tensor.shape,
                        modelmaker::normalWeights(static_cast<std::size_t>(tensor.count()), model.tensors.size(), 0.1F),
                        tensor.shape.size() > 1 ? format : "F32");
    return model;
}

class StopAfter final : public Progress {
public:
    explicit StopAfter(int checks)
        : m_left(checks)
    {
    }
    void report(double, std::string_view) override { }
    bool cancelled() const override { return m_left-- <= 0; }

private:
    mutable std::atomic<int> m_left;
};

} // namespace

void ForwardPassTest::equalsTheDefinition_data()
{
    QTest::addColumn<QString>("row");
    for (const tiny::Case& c : tiny::cases())
        QTest::newRow(c.row) << c.row;
}

// Of transformers, in doubles: closer than llama.cpp, which rounds GELU.
void ForwardPassTest::equalsTheDefinition()
{
    QFETCH(QString, row);
    tiny::Folder folder;
    tiny::fill(folder, row.toStdString());
    const Network network = openNetwork(openModel(folder.written()));
    const std::vector<int> tokens = tokensFor(network, 80);
    const Matrix found = forwardrun::logits(network, tokens, 80);
    const reference::Matrix expected = reference::Transformer(folder, tiny::layout(row.toStdString())).logits(tokens);
    const double difference = (found.cast<double>() - expected).cwiseAbs().maxCoeff();
    QVERIFY2(difference < 2e-5, qPrintable(QString::number(difference)));
}

void ForwardPassTest::showsEveryMatrixOnceForEachToken_data()
{
    addFamilies();
}

void ForwardPassTest::showsEveryMatrixOnceForEachToken()
{
    QFETCH(QString, row);
    const Model model = tiny::modelOf(row);
    const Network network = openNetwork(model);
    std::map<std::string, long> inputs, outputs;
    Observer observer;
    observer.input = [&](const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x) {
        QCOMPARE(x.cols(), weight.cols());
        QVERIFY(matrix >= 0 && matrix < weight.matrices());
        inputs[weight.name] += x.rows();
    };
    observer.output = [&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& y) {
        QCOMPARE(y.cols(), weight.rows() / weight.matrices());
        outputs[weight.name] += y.rows();
    };
    static_cast<void>(forwardrun::logits(network, tokensFor(network, 96), 32, observer));

    std::map<std::string, long> expected;
    for (const std::string& name : matricesOf(network))
        expected[name] = 96 * (isExpert(name) ? network.sizes.expertsUsed : 1);
    QVERIFY(inputs == expected);
    QVERIFY(outputs == expected);
    // Nothing that has rows and columns is left out but what is looked up.
    for (const Tensor& tensor : model.tensors)
        if (tensor.shape.size() > 1 && tensor.name != "token_embd.weight" && tensor.name != "position_embd.weight")
            QVERIFY2(inputs.contains(tensor.name), tensor.name.c_str());
}

// Outputs follow from inputs, weights and biases; shared inputs are recognisable.
void ForwardPassTest::showsWhatTheMatrixMultiplies()
{
    const Model model = tiny::modelOf("qwen2-yarn");
    const Network network = openNetwork(model);
    std::map<std::string, Matrix> inputs;
    std::map<std::string, const float*> places;
    int compared = 0;
    Observer observer;
    observer.input = [&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& x) {
        inputs[weight.name] = x;
        places[weight.name] = x.data();
    };
    observer.output = [&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& y) {
        Matrix expected = inputs.at(weight.name) * decoded(weight).transpose();
        const std::string bias = weight.name.substr(0, weight.name.rfind('.')) + ".bias";
        if (const Tensor* tensor = model.find(bias))
            expected.rowwise() += decoded(*tensor).row(0);
        QVERIFY((expected - y).cwiseAbs().maxCoeff() < 1e-4F);
        ++compared;
    };
    static_cast<void>(forwardrun::logits(network, tokensFor(network, 20), 10, observer));
    QCOMPARE(compared, 2 * 7 + 1);
    QCOMPARE(places["blk.0.attn_q.weight"], places["blk.0.attn_v.weight"]);
    QCOMPARE(places["blk.0.ffn_gate.weight"], places["blk.0.ffn_up.weight"]);
}

void ForwardPassTest::keepsSequencesApart_data()
{
    addFamilies();
}

void ForwardPassTest::keepsSequencesApart()
{
    QFETCH(QString, row);
    const Network network = openNetwork(tiny::modelOf(row));
    constexpr long kLength = 53; // no multiple of anything
    const std::vector<int> tokens = tokensFor(network, 3 * kLength);
    const Matrix together = forwardrun::logits(network, tokens, kLength);
    for (long i = 0; i < 3; ++i) {
        const auto part = std::span(tokens).subspan(static_cast<std::size_t>(i * kLength), kLength);
        QVERIFY(together.middleRows(i * kLength, kLength) == forwardrun::logits(network, part, kLength));
    }
    // And a token does not see those behind it.
    std::vector<int> changed(tokens.begin(), tokens.begin() + kLength);
    changed.back() = (changed.back() + 1) % static_cast<int>(network.sizes.vocabulary);
    const Matrix other = forwardrun::logits(network, changed, kLength);
    QVERIFY(together.topRows(kLength - 1) == other.topRows(kLength - 1));
    QVERIFY(together.row(kLength - 1) != other.row(kLength - 1));
}

void ForwardPassTest::doesNotDependOnThreads_data()
{
    addFamilies();
}

void ForwardPassTest::doesNotDependOnThreads()
{
    QFETCH(QString, row);
    const Network network = openNetwork(tiny::modelOf(row));
    const std::vector<int> tokens = tokensFor(network, 3 * 70);
    setThreads(1);
    const Matrix one = forwardrun::logits(network, tokens, 70);
    for (const int threads : {2, 7}) {
        setThreads(threads);
        const Matrix several = forwardrun::logits(network, tokens, 70);
        setThreads(0);
        QVERIFY(one == several);
    }
}

void ForwardPassTest::takesAnyBlockFormat_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"F16", "BF16", "Q4_0", "Q8_0", "Q4_K", "Q6_K", "IQ4_XS"})
        QTest::newRow(format) << format;
}

// The same logits as from the decoded weights, to the bit.
void ForwardPassTest::takesAnyBlockFormat()
{
    QFETCH(QString, format);
    const Model quantized = randomLlama(
        {.layers = 1, .width = 256, .hidden = 512, .keyWidth = 128, .vocabulary = 64, .heads = 4, .keyHeads = 2},
        format.toLatin1().constData());
    Model plain;
    plain.metadata = quantized.metadata;
    for (const Tensor& tensor : quantized.tensors) {
        const Matrix values = decoded(tensor);
        modelmaker::add(plain, tensor.name, tensor.shape, {values.data(), values.data() + values.size()});
    }
    const Network network = openNetwork(quantized);
    const std::vector<int> tokens = tokensFor(network, 40);
    const Matrix found = forwardrun::logits(network, tokens, 40);
    QVERIFY(found.allFinite());
    QVERIFY(found == forwardrun::logits(openNetwork(plain), tokens, 40));
}

// More tokens than are worked on at once: calls come in the order of tokens, and nothing else changes.
void ForwardPassTest::worksOnPartsOfTheTokens()
{
    const Network network = openNetwork(randomLlama(
        {.layers = 1, .width = 4, .hidden = 1 << 16, .keyWidth = 2, .vocabulary = 8, .heads = 2, .keyHeads = 1},
        "F32"));
    NoProgress progress;
    const long sequence = 5;
    const Matrix few = embed(network, tokensFor(network, 5), sequence);
    const long sequences = sequencesAtOnce(network, sequence) * 3 / 2;
    Matrix many = few.replicate(sequences, 1);
    const BlockWeights weights = decodedBlock(network, 0, progress);
    Observer observer;
    long calls = 0, seen = 0;
    observer.input = [&](const Tensor& weight, long, const Eigen::Ref<const Matrix>& x) {
        if (kindOf(weight.name) != "attn_q")
            return;
        ++calls;
        seen += x.rows();
    };
    runBlock(network, weights, many, sequence, observer, progress);
    QVERIFY(calls > 1);
    QCOMPARE(seen, many.rows());
    Matrix expected = few;
    runBlock(network, weights, expected, sequence, {}, progress);
    for (long i = 0; i < sequences; i += 11)
        QVERIFY(many.middleRows(i * sequence, sequence) == expected);
}

void ForwardPassTest::refusesTokens()
{
    const Network network = openNetwork(tinygguf::gpt2());
    const std::vector<int> unknown {1, static_cast<int>(tinygguf::kTokens)}, negative {-1};
    QVERIFY_EXCEPTION_THROWN(embed(network, unknown, 2), Error);
    QVERIFY_EXCEPTION_THROWN(embed(network, negative, 1), Error);
    const std::vector<int> longer(tinygguf::kContext + 1, 0);
    QVERIFY_EXCEPTION_THROWN(embed(network, longer, tinygguf::kContext + 1), Error);
    QCOMPARE(embed(network, longer, 1).rows(), tinygguf::kContext + 1); // as many sequences of one
}

void ForwardPassTest::canBeCancelled_data()
{
    QTest::addColumn<int>("checks");
    for (const int checks : {0, 1, 10, 30})
        QTest::newRow(qPrintable(QString::number(checks))) << checks;
}

void ForwardPassTest::canBeCancelled()
{
    QFETCH(int, checks);
    const Network network = openNetwork(tiny::modelOf("mixtral"));
    NoProgress none;
    Matrix x = embed(network, tokensFor(network, 200), 100);
    const BlockWeights weights = decodedBlock(network, 0, none);
    const auto stopped = [&](auto&& work) {
        StopAfter progress(checks);
        try {
            work(progress);
        } catch (const Cancelled&) {
            return true;
        }
        return false;
    };
    QVERIFY(stopped([&](Progress& progress) { runBlock(network, weights, x, 100, {}, progress); }));
    if (checks <= 1) {
        QVERIFY(stopped([&](Progress& progress) { static_cast<void>(decodedBlock(network, 0, progress)); }));
        QVERIFY(stopped([&](Progress& progress) { static_cast<void>(logits(network, x, {}, progress)); }));
    }
}

void ForwardPassTest::boundsItsMemory()
{
    const Network network = openNetwork(tiny::modelOf("llama"));
    // Query and output 64 x 64, key and value 32 x 64, three matrices of 64 x 96; rows are filled up.
    const std::uint64_t exact = 4 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 96);
    QVERIFY(decodedBytes(network) >= exact && decodedBytes(network) < 2 * exact);
    QVERIFY(workingBytes(network, 1 << 20, 1) > workingBytes(network, 64, 1));
    const long most = sequencesAtOnce(network, 64);
    QVERIFY(workingBytes(network, 64, most) > workingBytes(network, 64, most / 2));
    QCOMPARE(workingBytes(network, 64, 2 * most), workingBytes(network, 64, most));
}

QTEST_GUILESS_MAIN(ForwardPassTest)
#include "tst_forwardpass.moc"
