#include "core/modelkey.h"

#include "core/sha256.h"

#include <algorithm>

namespace quern {

std::string modelKey(const Model& model)
{
    constexpr std::size_t kEnds = 1024; // bytes of a tensor's beginning and of its end
    Sha256 hash;
    hash.add(std::as_bytes(std::span(model.sourceHash)));
    for (const Tensor& tensor : model.tensors) {
        const std::size_t n = std::min(kEnds, tensor.bytes.size());
        hash.add(std::as_bytes(std::span(tensor.name)));
        hash.add(tensor.bytes.first(n));
        hash.add(tensor.bytes.last(n));
    }
    model.check();
    return hash.hexadecimal();
}

} // namespace quern
