#include "core/error.h"
#include "core/safetensors.h"

#include <cstdlib>

// Headers of safetensors files: whatever is accepted lies within the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto file = std::as_bytes(std::span(data, size));
    try {
        std::size_t covered = quern::safetensors::dataBegin(file);
        for (const quern::Tensor& tensor : quern::safetensors::tensors(file, "fuzz")) {
            if (tensor.bytes.size() != static_cast<std::size_t>(tensor.rows()) * tensor.rowBytes())
                std::abort();
            if (!tensor.bytes.empty() && tensor.bytes.data() != file.data() + tensor.offset)
                std::abort();
            covered += tensor.bytes.size();
        }
        if (covered != size)
            std::abort();
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
