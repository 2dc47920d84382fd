#include "core/error.h"
#include "core/logitfile.h"
#include "tests/fuzz/temporaryfolder.h"

// Base files of llama-perplexity: opening, and every distribution in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::TemporaryFolder folder;
    try {
        const quern::LogitFile file = quern::LogitFile::open(folder.put("base.kld", data, size));
        const std::vector<float> logits(static_cast<std::size_t>(file.vocabulary()));
        for (long chunk = 0; chunk < file.chunks().count(); ++chunk)
            for (long i = 0; i < file.chunks().scored(); ++i)
                static_cast<void>(quern::predicted(logits, file.distribution(chunk, i), 0));
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
