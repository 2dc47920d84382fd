#pragma once

#include "core/tensor.h"

namespace quern::safetensors {

// Where the data of a file begin; at most its size.
std::uint64_t dataBegin(std::span<const std::byte> file);

// The tensors of a safetensors file, in the order of their bytes, which are views of the file. Strict, as the format
// wants it: the tensors cover the data without gaps. source: name of the file for messages. Throws Error.
std::vector<Tensor> tensors(std::span<const std::byte> file, std::string_view source);

} // namespace quern::safetensors
