#include "core/huggingface.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/tinyfamilies.h"

#include <QTest>

#include <cmath>
#include <numbers>
#include <set>

namespace {

std::vector<float> values(const quern::Tensor& tensor)
{
    const quern::Matrix w = quern::decoded(tensor);
    return {w.data(), w.data() + w.size()};
}

// What a command of the judge says of the model, exported with all tensors as F32.
judge::Verdict exported(const quern::Model& model, const QString& folder, const QStringList& command)
{
    const QString file = folder + "/out.gguf";
    judge::exportAsF32(model, file.toStdString());
    return judge::run(QStringList {command.front(), file} + command.mid(1));
}

} // namespace

class HuggingFaceTest final : public QObject {
    Q_OBJECT

private slots:
    void everyFamilyRunsInLlamaCpp_data()
    {
        QTest::addColumn<QString>("row");
        for (const tiny::Case& c : tiny::cases())
            QTest::newRow(c.row) << c.row;
    }
    void everyFamilyRunsInLlamaCpp()
    {
        QFETCH(QString, row);
        tiny::Folder folder;
        tiny::fill(folder, row.toStdString());
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY2(!model.obstacle, model.obstacle ? model.obstacle->what() : "");
        QVERIFY2(model.warnings.empty(), model.warnings.empty() ? "" : model.warnings.front().c_str());
        std::set<std::string> names;
        for (const quern::Tensor& tensor : model.tensors) {
            QVERIFY2(!tensor.name.starts_with("model."), tensor.name.c_str());
            names.insert(tensor.name);
            if (tensor.shape.size() == 1)
                QCOMPARE(tensor.format->name, "F32");
        }
        QCOMPARE(names.size(), model.tensors.size());
        if (const QString absent = judge::absent(); !absent.isEmpty())
            QSKIP(qPrintable(absent));
        const judge::Verdict verdict = exported(model, folder.directory.path(), {"load"});
        QVERIFY2(verdict.works, qPrintable(verdict.text));
    }

    // transformers/models/llama/convert_llama_weights_to_hf.py, permute, turned round: row (h, i, j) of GGUF is row
    // (h, j, i) of Hugging Face, j in {0, 1}.
    void queryAndKeyRowsAreInterleaved()
    {
        tiny::Folder folder;
        tiny::fill(folder, "llama-biases");
        const quern::Model model = quern::openModel(folder.written());
        constexpr long kHead = 16, kCols = 64;
        for (const auto& [name, huggingFace, heads] :
             {std::tuple("blk.1.attn_q", "model.layers.1.self_attn.q_proj", 4L),
              {"blk.1.attn_k", "model.layers.1.self_attn.k_proj", 2L}}) {
            const std::vector<float> found = values(*model.find(std::string(name) + ".weight"));
            const std::vector<float> foundBias = values(*model.find(std::string(name) + ".bias"));
            const std::vector<float>& w = folder.find(std::string(huggingFace) + ".weight")->values;
            const std::vector<float>& b = folder.find(std::string(huggingFace) + ".bias")->values;
            for (long h = 0; h < heads; ++h)
                for (long i = 0; i < kHead / 2; ++i)
                    for (long j = 0; j < 2; ++j) {
                        const auto to = static_cast<std::size_t>(h * kHead + 2 * i + j);
                        const auto from = static_cast<std::size_t>(h * kHead + j * kHead / 2 + i);
                        QCOMPARE(foundBias[to], b[from]);
                        for (std::size_t c = 0; c < kCols; ++c)
                            QCOMPARE(found[to * kCols + c], w[from * kCols + c]);
                    }
        }
        QCOMPARE(values(*model.find("blk.1.attn_v.weight")),
                 folder.find("model.layers.1.self_attn.v_proj.weight")->values);
    }

    void otherFamiliesKeepTheirRows()
    {
        tiny::Folder folder;
        tiny::fill(folder, "qwen2");
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(values(*model.find("blk.0.attn_q.weight")),
                 folder.find("model.layers.0.self_attn.q_proj.weight")->values);
        QCOMPARE(values(*model.find("blk.0.attn_q.bias")), folder.find("model.layers.0.self_attn.q_proj.bias")->values);
    }

    void gemmasNormsGainOne()
    {
        tiny::Folder folder;
        tiny::fill(folder, "gemma3");
        const quern::Model model = quern::openModel(folder.written());
        for (const auto& [name, huggingFace] :
             {std::pair("blk.0.attn_norm", "model.layers.0.input_layernorm"),
              {"blk.0.post_attention_norm", "model.layers.0.post_attention_layernorm"},
              {"blk.0.ffn_norm", "model.layers.0.pre_feedforward_layernorm"},
              {"blk.0.post_ffw_norm", "model.layers.0.post_feedforward_layernorm"},
              {"blk.0.attn_q_norm", "model.layers.0.self_attn.q_norm"},
              {"blk.0.attn_k_norm", "model.layers.0.self_attn.k_norm"},
              {"output_norm", "model.norm"}}) {
            std::vector<float> expected = folder.find(std::string(huggingFace) + ".weight")->values;
            for (float& w : expected)
                w += 1;
            QCOMPARE(values(*model.find(std::string(name) + ".weight")), expected);
        }
    }

    // By the frequencies that transformers computes: what they are divided by is the factor.
    void llama3FactorsFollowTheFormula()
    {
        tiny::Folder folder;
        tiny::fill(folder, "llama3");
        const quern::Model model = quern::openModel(folder.written());
        const std::vector<float> found = values(*model.find("rope_freqs.weight"));
        QCOMPARE(found.size(), std::size_t {8});
        std::set<int> kinds;
        for (int i = 0; i < 8; ++i) {
            const double frequency = 1 / std::pow(5000.0, 2.0 * i / 16), wave = 2 * std::numbers::pi / frequency;
            double scaled = frequency;
            if (wave > 64 / 1.0)
                scaled = frequency / 8;
            else if (wave >= 64 / 4.0) {
                const double smooth = (64 / wave - 1) / (4 - 1);
                scaled = (1 - smooth) * frequency / 8 + smooth * frequency;
            }
            kinds.insert(wave > 64 ? 2 : wave >= 16 ? 1 : 0);
            QVERIFY(std::abs(found[static_cast<std::size_t>(i)] - frequency / scaled) < 1e-5 * frequency / scaled);
        }
        QCOMPARE(kinds.size(), std::size_t {3}); // all three ranges are covered
    }

    void tensorsComeInOrder()
    {
        tiny::Folder folder;
        tiny::fill(folder, "llama");
        std::ranges::reverse(folder.tensors);
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(model.tensors.front().name, "token_embd.weight");
        QCOMPARE(model.tensors[1].name, "blk.0.attn_norm.weight");
        QCOMPARE(model.tensors[10].name, "blk.1.attn_norm.weight");
        QCOMPARE(model.tensors.back().name, "output.weight");
    }
};

QTEST_GUILESS_MAIN(HuggingFaceTest)
#include "tst_huggingface.moc"
