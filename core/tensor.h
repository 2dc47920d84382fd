#pragma once

#include "core/blockformat.h"

#include <Eigen/Core>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// What a tensor is multiplied by, row by row and column by column; empty: 1.
struct Factors {
    std::vector<float> rows; // rows()
    Matrix cols;             // matrices() x cols()
};

// One named array of a model: a view into bytes that the Model keeps alive. Cheap to copy.
struct Tensor {
    std::string name;                 // canonical, i.e. as in GGUF: "blk.0.attn_q.weight"
    std::vector<long> shape;          // outermost first, as in PyTorch: {out features, in features}; empty: one number
    const BlockFormat* format;        // never null
    std::span<const std::byte> bytes; // rows() * rowBytes()
    std::uint64_t offset = 0;         // of the bytes in their file
    // Hugging Face stores the rows of a rotary head as its first halves, then its second halves; GGUF interleaves them.
    // > 0: rows per head of a tensor whose bytes are in Hugging Face's order. Rows are always addressed in GGUF's.
    long headRows = 0;
    std::shared_ptr<const Factors> factors {}; // of decoded rows; null: 1. Bytes are what they were before.

    long cols() const { return shape.empty() ? 1 : shape.back(); }
    long rows() const;     // product of all other dimensions
    long count() const;    // number of weights
    long matrices() const; // product of all dimensions but the last two: experts, or 1
    std::size_t rowBytes() const { return format->rowBytes(cols()); }
    const std::byte* row(long row) const; // where row `row` begins, of a tensor without factors
};

// Where Hugging Face stores GGUF's row `row`; headRows 0: at the same place.
long storedRow(long row, long headRows);

// Decodes rows [first, first + n), multiplied by their factors, into out: n x cols(), row-major.
void decodeRows(const Tensor& tensor, long first, long n, float* out);
Matrix decoded(const Tensor& tensor); // rows() x cols(); for tensors known to be small, and tests

// Layer number of "blk.12.ffn_down.weight": 12; -1 for tensors outside the layers.
int layerOf(std::string_view name);
// What the tensor is within its layer: "ffn_down"; "token_embd", "output" outside. "attn_q.bias" for what is no weight.
std::string_view kindOf(std::string_view name);

} // namespace quern
