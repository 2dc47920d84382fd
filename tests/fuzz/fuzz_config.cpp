#include "core/architecture.h"
#include "core/config.h"
#include "core/error.h"

// config.json, as every family reads it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const std::string_view text(reinterpret_cast<const char*>(data), size);
        const quern::Config config = quern::Config::fromJson(text, "config.json");
        for (const quern::Architecture* architecture : quern::architectures())
            try {
                if (architecture->describe)
                    static_cast<void>(architecture->describe(config));
            } catch (const quern::Error&) {
                continue; // the next family may like it
            }
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
