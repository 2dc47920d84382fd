#include "core/gguf.h"
#include "core/parallel.h"
#include "tests/core/forwardrun.h"
#include "tests/core/modelmaker.h"
#include "tests/judge/llama.h"

#include <benchmark/benchmark.h>

#include <filesystem>

// The forward pass beside llama.cpp's prompt processing, same file, same threads: sequences of 512 tokens through a
// random llama of 135 million weights, logits of every token. Ours includes decoding every block once.
namespace {

constexpr modelmaker::Shape kShape {
    .layers = 10, .width = 1024, .hidden = 2816, .keyWidth = 512, .vocabulary = 8192, .heads = 16, .keyHeads = 8};
constexpr long kSequence = 512, kSequences = 4;

// A GGUF file of random weights in the temporary folder, removed at the end.
class File {
public:
    explicit File(const char* format)
        : m_path(std::filesystem::temp_directory_path() / (std::string("bench_forward_") + format + ".gguf"))
    {
        const quern::Model outline = modelmaker::llama(kShape);
        quern::Model model;
        model.metadata = outline.metadata;
        const auto number
            = [&](const char* key, long value) { model.metadata.set(key, static_cast<std::uint32_t>(value)); };
        number("llama.embedding_length", kShape.width);
        number("llama.feed_forward_length", kShape.hidden);
        number("llama.context_length", 2048);
        number("llama.vocab_size", kShape.vocabulary);
        number("llama.rope.dimension_count", kShape.width / kShape.heads);
        model.metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
        model.metadata.set("tokenizer.ggml.model", std::string("none"));
        for (const quern::Tensor& tensor : outline.tensors) {
            const bool isNorm = tensor.shape.size() == 1;
            std::vector<float> weights
                = modelmaker::normalWeights(static_cast<std::size_t>(tensor.count()), model.tensors.size());
            if (isNorm)
                weights.assign(weights.size(), 1);
            modelmaker::add(model, tensor.name, tensor.shape, weights, isNorm ? "F32" : format);
        }
        quern::NoProgress progress;
        quern::writeModel(model, m_path, true, progress);
    }
    ~File() { std::filesystem::remove(m_path); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    std::string path() const { return m_path.string(); }

private:
    std::filesystem::path m_path;
};

const File& file(const char* format)
{
    static const File f16("F16"), f32("F32"), q8("Q8_0");
    const std::string_view name = format;
    return name == "F16" ? f16 : name == "F32" ? f32 : q8;
}

void ours(benchmark::State& state, const char* format)
{
    const quern::Network network = quern::openNetwork(quern::openModel(file(format).path()));
    const std::vector<int> tokens
        = forwardrun::someTokens(static_cast<std::size_t>(kSequence * kSequences), kShape.vocabulary);
    for (auto _ : state)
        benchmark::DoNotOptimize(forwardrun::logits(network, tokens, kSequence));
    state.SetItemsProcessed(state.iterations() * kSequence * kSequences);
}

void peer(benchmark::State& state, const char* format)
{
    if (!judge::Llama::available()) {
        state.SkipWithError(judge::Llama::reason().c_str());
        return;
    }
    const judge::Llama llama = judge::Llama::open(file(format).path(), {.threads = quern::threads()});
    const std::vector<int> tokens = forwardrun::someTokens(static_cast<std::size_t>(kSequence), kShape.vocabulary);
    for (auto _ : state)
        for (long i = 0; i < kSequences; ++i)
            benchmark::DoNotOptimize(llama.logits(tokens));
    state.SetItemsProcessed(state.iterations() * kSequence * kSequences);
}

// A context of llama.cpp's for 1 token: what the peer's figure contains besides the work.
void peerStart(benchmark::State& state)
{
    const judge::Llama llama = judge::Llama::open(file("F32").path(), {.threads = quern::threads()});
    const std::vector<int> token {1};
    for (auto _ : state)
        benchmark::DoNotOptimize(llama.logits(token));
}

BENCHMARK_CAPTURE(ours, F32, "F32")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(peer, F32, "F32")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(ours, F16, "F16")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(peer, F16, "F16")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(ours, Q8_0, "Q8_0")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK_CAPTURE(peer, Q8_0, "Q8_0")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(peerStart)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();

} // namespace
