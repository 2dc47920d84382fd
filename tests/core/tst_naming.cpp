#include "core/huggingface.h"
#include "tests/core/tinymodel.h"

#include <QTest>

using tiny::Json;

namespace {

QString obstacle(const quern::Model& model)
{
    return model.obstacle ? model.obstacle->what() : "";
}

void rename(tiny::Folder& folder, const std::string& from, const std::string& to)
{
    folder.find(from)->name = to;
}

const tiny::Layout kGemma3 {.headNorms = true, .fourNorms = true, .normMean = 0};

} // namespace

// What stands between a Hugging Face folder and a GGUF file.
class NamingTest final : public QObject {
    Q_OBJECT

private slots:
    void unknownFamiliesKeepTheirNames()
    {
        tiny::Folder folder;
        tiny::fill(folder, "MambaForCausalLM", {}, {});
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY(model.find("model.layers.0.self_attn.q_proj.weight"));
        QVERIFY2(obstacle(model).contains("MambaForCausalLM") && obstacle(model).contains("qwen2"),
                 qPrintable(obstacle(model)));
    }

    void whatDoesNotFitIsAnObstacle_data()
    {
        QTest::addColumn<QString>("tensor"); // what is done to it
        QTest::addColumn<QString>("change");
        QTest::addColumn<QString>("says");
        QTest::newRow("missing") << "model.layers.1.mlp.down_proj.weight"
                                 << "remove"
                                 << "lacks";
        QTest::newRow("no output") << "lm_head.weight"
                                   << "remove"
                                   << "lm_head.weight";
        QTest::newRow("unknown") << "model.layers.1.mlp.down_proj.weight"
                                 << "model.layers.1.mlp.extra.weight"
                                 << "mlp.extra";
        QTest::newRow("layer beyond") << "model.layers.1.mlp.up_proj.weight"
                                      << "model.layers.2.mlp.up_proj.weight"
                                      << "layers.2";
        QTest::newRow("layer 01") << "model.layers.1.mlp.up_proj.weight"
                                  << "model.layers.01.mlp.up_proj.weight"
                                  << "layers.01";
        QTest::newRow("layer -1") << "model.layers.1.mlp.up_proj.weight"
                                  << "model.layers.-1.mlp.up_proj.weight"
                                  << "layers.-1";
        QTest::newRow("layer 2^70") << "model.layers.1.mlp.up_proj.weight"
                                    << "model.layers.1180591620717411303424.mlp.up_proj.weight"
                                    << "layers.118";
        QTest::newRow("twice") << "model.layers.1.mlp.up_proj.weight"
                               << "model.language_model.layers.0.mlp.up_proj.weight"
                               << "twice";
        QTest::newRow("too wide") << "model.layers.1.self_attn.q_proj.weight"
                                  << "32 x 128"
                                  << "32 x 128";
        QTest::newRow("a vector") << "model.layers.1.self_attn.q_proj.weight"
                                  << "4096"
                                  << "64 x 64";
        QTest::newRow("a matrix of norms") << "model.norm.weight"
                                           << "8 x 8"
                                           << "8 x 8";
        QTest::newRow("output of another size") << "lm_head.weight"
                                                << "131 x 128"
                                                << "262 x 64";
    }
    void whatDoesNotFitIsAnObstacle()
    {
        QFETCH(QString, tensor);
        QFETCH(QString, change);
        QFETCH(QString, says);
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        const std::string name = tensor.toStdString();
        const std::size_t before = folder.tensors.size();
        if (change == "remove")
            std::erase_if(folder.tensors, [&](const tiny::Stored& t) { return t.name == name; });
        else if (change.startsWith("model"))
            rename(folder, name, change.toStdString());
        else {
            folder.find(name)->shape.clear();
            for (const QString& n : change.split(" x "))
                folder.find(name)->shape.push_back(n.toLong());
        }
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY2(obstacle(model).contains(says), qPrintable(obstacle(model)));
        QCOMPARE(model.tensors.size(), before - (change == "remove" ? 1 : 0)); // nothing is hidden
    }

    void buffersAndTiedOutputsAreLeftOut()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {{"tie_word_embeddings", true}});
        folder.tensors.push_back(tiny::random("model.layers.0.self_attn.rotary_emb.inv_freq", {8}));
        folder.tensors.push_back(tiny::random("lm_head.weight", {tiny::kTokens, 64}));
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QVERIFY(model.warnings.empty());
        QCOMPARE(model.tensors.size(), std::size_t {20});
    }

    // As google/gemma-3-4b-it writes it: most of the language part's settings are transformers' defaults.
    void theLanguagePartOfGemma3IsOpened()
    {
        tiny::Folder folder;
        const Json shape {{"num_attention_heads", 8}, {"num_key_value_heads", 4}, {"head_dim", 256}};
        tiny::fill(folder, "Gemma3ForConditionalGeneration", kGemma3, shape);
        folder.config = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                         {"text_config",
                          {{"hidden_size", 64},
                           {"intermediate_size", 96},
                           {"num_hidden_layers", 2},
                           {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                           {"sliding_window", 1024}}}};
        for (tiny::Stored& tensor : folder.tensors)
            tensor.name = "language_model." + tensor.name;
        folder.tensors.push_back(tiny::random("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", {8, 8}));
        folder.tensors.push_back(tiny::random("multi_modal_projector.mm_input_projection_weight", {8, 8}));
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(model.warnings.size(), std::size_t {1});
        QVERIFY(model.find("blk.1.post_ffw_norm.weight"));
        QCOMPARE(*model.metadata.integer("gemma3.context_length"), 131072);
        QCOMPARE(*model.metadata.number("gemma3.rope.freq_base"), 1e6);
        QCOMPARE(*model.metadata.number("gemma3.rope.scaling.factor"), 8);
        QVERIFY(std::holds_alternative<std::uint32_t>(*model.metadata.find("gemma3.attention.sliding_window")));
        QVERIFY(std::holds_alternative<float>(*model.metadata.find("gemma3.attention.layer_norm_rms_epsilon")));
    }

    void gemma3sLayersAreToldApart()
    {
        const std::vector<std::string> regular {"sliding_attention", "full_attention", "sliding_attention",
                                                "full_attention"},
            odd {"full_attention", "sliding_attention", "sliding_attention", "full_attention"};
        tiny::Folder folder;
        tiny::fill(folder, "Gemma3ForCausalLM", kGemma3,
                   {{"num_hidden_layers", 4}, {"sliding_window", 32}, {"layer_types", regular}});
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(*model.metadata.integer("gemma3.attention.sliding_window_pattern"), 2);
        folder.config["layer_types"] = odd;
        QVERIFY_EXCEPTION_THROWN(quern::openModel(folder.written()), quern::Error);
    }

    void ropeParametersOfTransformers5AreRead()
    {
        tiny::Folder folder;
        tiny::fill(folder, "Gemma3ForCausalLM", kGemma3, {{"sliding_window", 32}});
        folder.config.erase("rope_theta");
        folder.config["rope_parameters"]
            = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 5e5}}},
               {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}};
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(*model.metadata.number("gemma3.rope.freq_base"), 5e5);
        QCOMPARE(*model.metadata.number("gemma3.rope.freq_base_swa"), 2e4);
        QCOMPARE(*model.metadata.number("gemma3.rope.scaling.factor"), 8);
    }

    void quantizedModelsCannotBeExported()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {{"quantization_config", {{"quant_method", "fp8"}}}});
        folder.tensors.push_back(tiny::random("model.layers.0.mlp.up_proj.weight_scale", {1}));
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY2(obstacle(model).contains("fp8"), qPrintable(obstacle(model)));
        QVERIFY(model.find("blk.0.ffn_up.weight"));
    }

    // What llama.cpp does not do, or does otherwise.
    void differencesAreToldOf_data()
    {
        QTest::addColumn<QString>("family");
        QTest::addColumn<QString>("changes");
        QTest::addColumn<bool>("isObstacle");
        QTest::newRow("window") << "MistralForCausalLM"
                                << R"({"sliding_window": 64})" << false;
        QTest::newRow("dynamic") << "LlamaForCausalLM"
                                 << R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})" << false;
        QTest::newRow("longrope") << "LlamaForCausalLM"
                                  << R"({"rope_scaling": {"type": "longrope"}})" << true;
        QTest::newRow("llama3 in Qwen") << "Qwen2ForCausalLM"
                                        << R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})" << true;
        QTest::newRow("attention scale") << "Gemma2ForCausalLM"
                                         << R"({"query_pre_attn_scalar": 224})" << true;
    }
    void differencesAreToldOf()
    {
        QFETCH(QString, family);
        QFETCH(QString, changes);
        QFETCH(bool, isObstacle);
        tiny::Folder folder;
        const bool gemma = family.startsWith("Gemma"), qwen = family.startsWith("Qwen");
        tiny::fill(folder, qPrintable(family), {.biases = qwen, .fourNorms = gemma, .normMean = gemma ? 0.0F : 1.0F},
                   Json::parse(changes.toStdString()));
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(model.obstacle.has_value(), isObstacle);
        QCOMPARE(model.warnings.size(), std::size_t {isObstacle ? 0U : 1U});
    }

    // A configuration that makes no sense is an Error that names the key.
    void senselessConfigurationsAreRefused_data()
    {
        QTest::addColumn<QString>("family");
        QTest::addColumn<QString>("key");
        QTest::addColumn<QString>("value");
        const auto row = [](const char* family, const char* key, const char* value) {
            QTest::addRow("%s %s", key, value) << family << key << value;
        };
        for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                                "max_position_embeddings", "rms_norm_eps"})
            for (const char* value : {"null", "0", "-1", "\"4\"", "1e30"})
                if (!(std::string_view(key) == "rms_norm_eps" && std::string_view(value) == "1e30"))
                    row("LlamaForCausalLM", key, value);
        row("LlamaForCausalLM", "num_hidden_layers", "100000");
        row("LlamaForCausalLM", "num_key_value_heads", "3");
        row("LlamaForCausalLM", "head_dim", "15");
        row("LlamaForCausalLM", "intermediate_size", "8589934592");
        row("LlamaForCausalLM", "rope_theta", "0");
        row("LlamaForCausalLM", "rope_scaling", "7");
        row("LlamaForCausalLM", "tie_word_embeddings", "\"yes\"");
        row("Phi3ForCausalLM", "partial_rotary_factor", "1.5");
        row("Phi3ForCausalLM", "original_max_position_embeddings", "0");
        row("Gemma3ForCausalLM", "sliding_window", "null");
        row("Gemma3ForCausalLM", "sliding_window_pattern", "0");
    }
    void senselessConfigurationsAreRefused()
    {
        QFETCH(QString, family);
        QFETCH(QString, key);
        QFETCH(QString, value);
        tiny::Folder folder;
        tiny::fill(folder, qPrintable(family), {.fused = family.startsWith("Phi")}, {{"sliding_window", 32}});
        folder.config[key.toStdString()] = Json::parse(value.toStdString());
        try {
            quern::openModel(folder.written());
            QFAIL("opened");
        } catch (const quern::Error& error) {
            QVERIFY2(QString(error.what()).contains(key) || QString(error.what()).contains("feed_forward_length"),
                     error.what());
        }
    }

    void factorsOfTheWrongLengthAreRefused()
    {
        tiny::Folder folder;
        const Json scaling {{"type", "longrope"}, {"short_factor", {1.0, 1.0}}, {"long_factor", {1.0, 1.0}}};
        tiny::fill(folder, "Phi3ForCausalLM", {.fused = true},
                   {{"rope_scaling", scaling}, {"original_max_position_embeddings", 64}});
        QVERIFY_EXCEPTION_THROWN(quern::openModel(folder.written()), quern::Error);
    }
};

QTEST_GUILESS_MAIN(NamingTest)
#include "tst_naming.moc"
