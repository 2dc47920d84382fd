#include "core/huggingface.h"
#include "tests/core/tinypieces.h"

#include <QTest>

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;
using tiny::Json;

namespace {

template <typename T>
const std::vector<T>& array(const quern::Model& model, const char* key)
{
    return std::get<std::vector<T>>(std::get<quern::MetaArray>(*model.metadata.find(key)));
}

const std::vector<std::string>& tokens(const quern::Model& model)
{
    return array<std::string>(model, "tokenizer.ggml.tokens");
}

std::vector<int> types(const quern::Model& model)
{
    const auto& stored = array<std::int32_t>(model, "tokenizer.ggml.token_type");
    return {stored.begin(), stored.end()};
}

std::optional<bool> flag(const quern::Model& model, const char* key)
{
    const quern::MetaValue* value = model.metadata.find(key);
    return value ? std::optional(std::get<bool>(*value)) : std::nullopt;
}

QString obstacle(const quern::Model& model)
{
    return model.obstacle ? model.obstacle->what() : "";
}

std::string readFile(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

class VocabularyTest final : public QObject {
    Q_OBJECT

    static fs::path shared(const char* path) { return fs::path(QUERN_SHARED_DIR) / path; }

private slots:
    void byteLevelTokensBecomeGpt2()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(*model.metadata.text("tokenizer.ggml.model"), "gpt2");
        QCOMPARE(*model.metadata.text("tokenizer.ggml.pre"), "gpt-2");
        QCOMPARE(tokens(model).size(), std::size_t {tiny::kTokens});
        QCOMPARE(tokens(model)[32], "Ġ");
        QCOMPARE(tokens(model)[258], "Ġthe");
        QCOMPARE(array<std::string>(model, "tokenizer.ggml.merges"),
                 (std::vector<std::string> {"t h", "th e", "Ġ the"}));
        // plain, special, not marked but by its looks, of the user
        QCOMPARE((std::vector<int> {types(model)[258], types(model)[259], types(model)[260], types(model)[261]}),
                 (std::vector<int> {1, 3, 3, 4}));
        QCOMPARE(*model.metadata.integer("tokenizer.ggml.bos_token_id"), 259);
        QCOMPARE(*model.metadata.integer("tokenizer.ggml.eos_token_id"), 259);
        QCOMPARE(flag(model, "tokenizer.ggml.add_bos_token"), std::optional(false));
        QVERIFY(!model.metadata.find("tokenizer.ggml.scores"));
        QCOMPARE(model.metadata.entries().front().key, "general.architecture");
    }

    void byteFallbackTokensBecomeLlama()
    {
        tiny::Folder folder;
        tiny::fill(folder, "GemmaForCausalLM", {.normMean = 0}, {});
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(*model.metadata.text("tokenizer.ggml.model"), "llama");
        QCOMPARE((std::vector<int> {types(model)[0], types(model)[1], types(model)[13], types(model)[261]}),
                 (std::vector<int> {2, 3, 6, 1}));
        const auto& scores = array<float>(model, "tokenizer.ggml.scores");
        QVERIFY(scores[261] > scores[260]); // what a merge makes is preferred to what none makes
        QCOMPARE(flag(model, "tokenizer.ggml.add_bos_token"), std::optional(true));
        QCOMPARE(flag(model, "tokenizer.ggml.add_eos_token"), std::optional(false));
        QCOMPARE(flag(model, "tokenizer.ggml.add_space_prefix"), std::optional(false));
    }

    void sentencePieceScoresCount()
    {
        tiny::Folder folder;
        tiny::fill(folder, "GemmaForCausalLM", {.normMean = 0}, {});
        folder.write("tokenizer.model", tiny::sentencePieceModel());
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(array<float>(model, "tokenizer.ggml.scores")[261], -2.5F);
        QCOMPARE(types(model)[0], 2);
    }

    // Gemma's tokenizer.json has a tab where tokenizer.model has the byte.
    void bytesMayBeWrittenOtherwise()
    {
        tiny::Folder folder;
        tiny::fill(folder, "GemmaForCausalLM", {.normMean = 0}, {});
        folder.tokenizer["model"]["vocab"].erase("<0x09>");
        folder.tokenizer["model"]["vocab"]["\t"] = 12;
        folder.tokenizer["post_processor"] = nullptr;
        folder.write("tokenizer.model", tiny::sentencePieceModel());
        const quern::Model model = quern::openModel(folder.written());
        QVERIFY(model.warnings.empty());
        QCOMPARE(tokens(model)[12], "<0x09>");
        QCOMPARE(types(model)[12], 6);
        QVERIFY(!flag(model, "tokenizer.ggml.add_bos_token")); // no template: llama.cpp's own
    }

    void sentencePieceAloneIsEnough()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {{"eos_token_id", {2, 1}}});
        folder.tokenizer = nullptr;
        folder.tokenizerConfig = {{"bos_token", {{"content", "<s>"}}}};
        folder.write("tokenizer.model", tiny::sentencePieceModel());
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(tokens(model)[261], "▁a");
        QCOMPARE(*model.metadata.integer("tokenizer.ggml.bos_token_id"), 1);
        QCOMPARE(*model.metadata.integer("tokenizer.ggml.eos_token_id"), 2);
        QCOMPARE(flag(model, "tokenizer.ggml.add_space_prefix"), std::optional(true));
        QVERIFY(!flag(model, "tokenizer.ggml.add_bos_token")); // llama.cpp's own: true
    }

    void differentNumbersAreNotMixed()
    {
        tiny::Folder folder;
        tiny::fill(folder, "GemmaForCausalLM", {.normMean = 0}, {});
        std::string message;
        for (const char* text : {"<unk>", "<s>", "</s>", "other"})
            message += tiny::piece(text, -7, 1);
        folder.write("tokenizer.model", message);
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(tokens(model)[3], "<0x00>");
        QCOMPARE(model.warnings.size(), std::size_t {1});
    }

    void rowsWithoutTokensArePadded()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {{"tie_word_embeddings", true}});
        folder.tensors.front() = tiny::random("model.embed_tokens.weight", {tiny::kTokens + 2, 64});
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(tokens(model).back(), "[PAD263]");
        QCOMPARE(types(model).back(), 5);
        QCOMPARE(*model.metadata.integer("llama.vocab_size"), tiny::kTokens + 2);
    }

    void tokensWithoutRowsAreLeftOut()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        folder.tokenizer["added_tokens"].push_back({{"id", 262}, {"content", "<pad>"}, {"special", true}});
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(tokens(model).size(), std::size_t {tiny::kTokens});
        QVERIFY(model.warnings.front().find("<pad>") != std::string::npos);
    }

    void chatTemplatesAreKept()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        folder.tokenizerConfig["chat_template"]
            = {{{"name", "default"}, {"template", "A"}}, {{"name", "tool use"}, {"template", "B"}}};
        const quern::Model several = quern::openModel(folder.written());
        QCOMPARE(*several.metadata.text("tokenizer.chat_template"), "A");
        QCOMPARE(*several.metadata.text("tokenizer.chat_template.tool_use"), "B");
        QCOMPARE(array<std::string>(several, "tokenizer.chat_templates"), (std::vector<std::string> {"tool_use"}));
        folder.tokenizerConfig.erase("chat_template");
        folder.write("chat_template.jinja", "{{ C }}");
        QCOMPARE(*quern::openModel(folder.written()).metadata.text("tokenizer.chat_template"), "{{ C }}");
        folder.tokenizerConfig["chat_template"] = "D";
        QCOMPARE(*quern::openModel(folder.written()).metadata.text("tokenizer.chat_template"), "D");
    }

    void anUnknownSplitIsWarnedOf()
    {
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {});
        folder.tokenizer["pre_tokenizer"]["type"] = "ByteLevel";
        folder.tokenizer["pre_tokenizer"]["use_regex"] = false;
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(*model.metadata.text("tokenizer.ggml.pre"), "default");
        QCOMPARE(model.warnings.size(), std::size_t {1});
    }

    void theTestModelsKeepTheirTokenizers_data()
    {
        QTest::addColumn<QString>("folder");
        QTest::addColumn<QString>("model");
        QTest::addColumn<int>("tokens");
        QTest::addColumn<int>("merges");
        QTest::addColumn<int>("bos");
        QTest::newRow("stories260K") << "models/stories260K"
                                     << "llama" << 512 << 0 << 1;
        QTest::newRow("babyllama-tok361") << "models/babyllama-tok361"
                                          << "llama" << 361 << 0 << 1;
        QTest::newRow("prose-qwen2") << "models/prose-qwen2"
                                     << "gpt2" << 2048 << 1791 << 2047;
        QTest::newRow("demo") << "demo-model/demo"
                              << "gpt2" << 1024 << 767 << 1023;
    }
    void theTestModelsKeepTheirTokenizers()
    {
        QFETCH(QString, folder);
        QFETCH(QString, model);
        QFETCH(int, merges);
        QFETCH(int, bos);
        const fs::path path = shared(qPrintable(folder));
        if (!fs::exists(path))
            QSKIP(qPrintable(QString("the test model %1 is absent").arg(folder)));
        const quern::Model opened = quern::openModel(path);
        QCOMPARE(obstacle(opened), "");
        QVERIFY(opened.warnings.empty());
        QCOMPARE(QString::fromUtf8(*opened.metadata.text("tokenizer.ggml.model")), model);
        const Json file = Json::parse(readFile(path / "tokenizer.json"));
        QCOMPARE(tokens(opened).size(), file["model"]["vocab"].size());
        for (const auto& [text, id] : file["model"]["vocab"].items())
            QCOMPARE(tokens(opened)[id.get<std::size_t>()], text);
        if (merges > 0) {
            const auto& stored = array<std::string>(opened, "tokenizer.ggml.merges");
            QCOMPARE(static_cast<int>(stored.size()), merges);
            QCOMPARE(stored.front(), file["model"]["merges"].front().get<std::string>());
        } else {
            const quern::SentencePieces expected = tiny::pieces(readFile(path / "tokenizer.model"));
            const auto& scores = array<float>(opened, "tokenizer.ggml.scores");
            for (std::size_t i = 0; i < scores.size(); ++i) {
                QCOMPARE(scores[i], expected.pieces[i].score);
                QCOMPARE(types(opened)[i], static_cast<int>(expected.pieces[i].type));
            }
        }
        QCOMPARE(*opened.metadata.integer("tokenizer.ggml.bos_token_id"), bos);
        QCOMPARE(flag(opened, "tokenizer.ggml.add_bos_token"), std::optional(true));
    }

    void gpt2sTokenizerIsConverted()
    {
        const fs::path path = shared("models/gpt2-tokenizer");
        if (!fs::exists(path))
            QSKIP("the tokenizer models/gpt2-tokenizer is absent");
        tiny::Folder folder;
        tiny::fill(folder, "LlamaForCausalLM", {}, {{"tie_word_embeddings", true}});
        folder.tensors.front() = tiny::random("model.embed_tokens.weight", {50257, 64});
        folder.tokenizer = nullptr;
        folder.tokenizerConfig = nullptr;
        for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
            folder.write(file, readFile(path / file));
        const quern::Model model = quern::openModel(folder.written());
        QCOMPARE(obstacle(model), "");
        QCOMPARE(*model.metadata.text("tokenizer.ggml.pre"), "gpt-2");
        QCOMPARE(tokens(model).size(), std::size_t {50257});
        QCOMPARE(array<std::string>(model, "tokenizer.ggml.merges").size(), std::size_t {50000});
        QCOMPARE(types(model)[50256], 3);
        QCOMPARE(*model.metadata.integer("tokenizer.ggml.eos_token_id"), 50256);
        QCOMPARE(flag(model, "tokenizer.ggml.add_bos_token"), std::optional(false));
    }
};

QTEST_GUILESS_MAIN(VocabularyTest)
#include "tst_vocabulary.moc"
