#include "core/error.h"
#include "core/tokenization.h"
#include "tests/fuzz/temporaryfolder.h"

// tokenizer.json, up to the metadata that llama.cpp reads.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::TemporaryFolder folder;
    static const quern::Config config = quern::Config::fromJson("{\"model_type\":\"llama\"}", "config.json");
    folder.put("tokenizer.json", data, size);
    try {
        constexpr std::size_t kRows = 64;
        quern::Metadata metadata;
        std::vector<std::string> warnings;
        quern::describeTokenizer(folder.path(), config, kRows, metadata, warnings);
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
