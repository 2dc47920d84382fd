#pragma once

#include "core/tensor.h"

// Tensors whose values are encoded anew, by slabs, which come in GGUF's order of rows and with factors applied.
namespace quern {

// As it will be in `format`, at `offset` of a file; its bytes are not there yet.
inline Tensor encodedAt(Tensor tensor, const BlockFormat& format, std::uint64_t offset)
{
    tensor.format = &format;
    tensor.headRows = 0;
    tensor.factors = nullptr;
    tensor.offset = offset;
    tensor.bytes = {};
    return tensor;
}

inline std::size_t encodedBytes(const Tensor& tensor)
{
    return static_cast<std::size_t>(tensor.rows()) * tensor.rowBytes();
}

// The same with its bytes, which are there in the file now.
inline Tensor encodedIn(std::span<const std::byte> file, Tensor tensor)
{
    tensor.bytes = file.subspan(static_cast<std::size_t>(tensor.offset), encodedBytes(tensor));
    return tensor;
}

} // namespace quern
