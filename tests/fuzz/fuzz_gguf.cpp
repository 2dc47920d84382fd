#include "core/gguf.h"
#include "tests/fuzz/temporaryfolder.h"

#include <cstring>

// GGUF files: opening, decoding what was opened, and writing it again, which must read back the same.
namespace {

void decodeSome(const quern::Model& model)
{
    constexpr long kMost = 1 << 16; // weights
    for (const quern::Tensor& tensor : model.tensors)
        if (tensor.count() > 0 && tensor.cols() <= kMost)
            static_cast<void>(tensor.cols() > 0 ? [&] {
                std::vector<float> x(static_cast<std::size_t>(tensor.cols()));
                quern::decodeRows(tensor, tensor.rows() - 1, 1, x.data());
                return x.back();
            }() : 0.0f);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::TemporaryFolder folder;
    quern::Model model;
    try {
        model = quern::openModel(folder.put("in.gguf", data, size));
    } catch (const quern::Error&) {
        return 0;
    }
    if (model.container->name != "GGUF")
        return 0;
    decodeSome(model);
    if (model.obstacle)
        return 0;
    quern::NoProgress progress;
    quern::writeModel(model, folder.path() / "out.gguf", true, progress);
    return 0;
}
