#include "core/tensor.h"

#include <cassert>
#include <charconv>

namespace quern {
namespace {

constexpr std::string_view kBlock = "blk.";
constexpr std::string_view kWeight = ".weight";

const std::byte* encodedRow(const Tensor& tensor, long row)
{
    return tensor.bytes.data() + static_cast<std::size_t>(storedRow(row, tensor.headRows)) * tensor.rowBytes();
}

void multiply(const Factors& factors, const Tensor& tensor, long row, Eigen::Map<Eigen::ArrayXf> x)
{
    if (factors.cols.size() > 0)
        x *= factors.cols.row(row / (tensor.rows() / tensor.matrices())).transpose().array();
    if (!factors.rows.empty())
        x *= factors.rows[static_cast<std::size_t>(row)];
}

} // namespace

long Tensor::rows() const
{
    long n = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i)
        n *= shape[i];
    return n;
}

long Tensor::count() const
{
    return rows() * cols();
}

long storedRow(long row, long headRows)
{
    if (headRows == 0)
        return row;
    const long head = row / headRows, within = row % headRows;
    return head * headRows + within % 2 * (headRows / 2) + within / 2;
}

long Tensor::matrices() const
{
    long n = 1;
    for (std::size_t i = 0; i + 2 < shape.size(); ++i)
        n *= shape[i];
    return n;
}

const std::byte* Tensor::row(long row) const
{
    assert(!factors);
    return encodedRow(*this, row);
}

void decodeRows(const Tensor& tensor, long first, long n, float* out)
{
    const long cols = tensor.cols();
    for (long i = 0; i < n; ++i) {
        float* x = out + i * cols;
        tensor.format->decode(*tensor.format, encodedRow(tensor, first + i), {x, static_cast<std::size_t>(cols)});
        if (tensor.factors)
            multiply(*tensor.factors, tensor, first + i, {x, cols});
    }
}

Matrix decoded(const Tensor& tensor)
{
    Matrix w(tensor.rows(), tensor.cols());
    decodeRows(tensor, 0, w.rows(), w.data());
    return w;
}

int layerOf(std::string_view name)
{
    int layer = -1;
    if (name.starts_with(kBlock))
        std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), layer);
    return layer;
}

std::string_view kindOf(std::string_view name)
{
    if (layerOf(name) >= 0)
        if (const auto dot = name.find('.', kBlock.size()); dot != std::string_view::npos)
            name.remove_prefix(dot + 1);
    if (name.ends_with(kWeight))
        name.remove_suffix(kWeight.size());
    return name;
}

} // namespace quern
