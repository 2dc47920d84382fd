// Text to tokens, one thread, bytes a second: ours and llama.cpp's in the same run. Texts and models are those of
// ../shared; llama.cpp comes from npm (npm ci in tests/judge).
#include "core/gguf.h"
#include "core/tokenization.h"
#include "core/tokenizer.h"
#include "tests/judge/llama.h"

#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

struct Case {
    quern::Metadata metadata;
    std::string text;
};

std::string contents(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

const std::string kShared = QUERN_SHARED_DIR;

quern::Metadata gpt2()
{
    constexpr std::size_t kTokens = 50257;
    quern::Metadata metadata;
    std::vector<std::string> warnings;
    quern::describeTokenizer(kShared + "/models/gpt2-tokenizer", quern::Config::fromJson("{}", "config.json"), kTokens,
                             metadata, warnings);
    return metadata;
}

Case caseOf(const std::string& model, const std::string& split)
{
    Case made {model == "gpt2" ? gpt2() : quern::openModel(kShared + "/models/" + model).metadata,
               contents(kShared + "/text/wiki.test.raw")};
    made.metadata.set("general.architecture", std::string("llama"));
    if (!split.empty())
        made.metadata.set("tokenizer.ggml.pre", split);
    return made;
}

judge::Llama theirs(const Case& made)
{
    const std::filesystem::path path = std::filesystem::temp_directory_path() / "quern-bench-tokens.gguf";
    const std::vector<std::byte> header = quern::gguf::layout(made.metadata, {}).header;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(header.data()), static_cast<std::streamsize>(header.size()));
    judge::Llama llama = judge::Llama::openTokenizer(path);
    std::filesystem::remove(path);
    return llama;
}

void count(benchmark::State& state, const Case& made, std::size_t tokens)
{
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(made.text.size()));
    state.counters["tokens"] = static_cast<double>(tokens);
}

void ours(benchmark::State& state, const std::string& model, const std::string& split)
{
    const Case made = caseOf(model, split);
    const quern::Tokenizer tokenizer = quern::tokenizerOf(made.metadata);
    std::size_t tokens = 0;
    for (auto _ : state)
        tokens = tokenizer.encode(made.text, true, false).size();
    count(state, made, tokens);
}

void llamaCpp(benchmark::State& state, const std::string& model, const std::string& split)
{
    if (!judge::Llama::available())
        return state.SkipWithError(judge::Llama::reason().c_str());
    const Case made = caseOf(model, split);
    const judge::Llama llama = theirs(made);
    std::size_t tokens = 0;
    for (auto _ : state)
        tokens = llama.tokenize(made.text, true).size();
    count(state, made, tokens);
}

void load(benchmark::State& state)
{
    const Case made = caseOf("gpt2", "");
    for (auto _ : state)
        benchmark::DoNotOptimize(quern::tokenizerOf(made.metadata));
}

const bool kRegistered = [] {
    for (const auto& [model, split] : {std::pair("gpt2", ""),
                                       {"gpt2", "llama-bpe"},
                                       {"gpt2", "qwen2"},
                                       {"gpt2", "smollm"},
                                       {"gpt2", "default"},
                                       {"gpt2", "gpt-4o"},
                                       {"prose-qwen2", ""},
                                       {"stories260K", ""}}) {
        const std::string name = std::string(model) + '/' + split;
        benchmark::RegisterBenchmark(("ours/" + name).c_str(), ours, model, split)->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark(("llama.cpp/" + name).c_str(), llamaCpp, model, split)
            ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark("load/gpt2", load)->Unit(benchmark::kMillisecond);
    return true;
}();

} // namespace
