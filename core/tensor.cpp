#include "core/tensor.h"

#include <charconv>

namespace quern {
namespace {

constexpr std::string_view kBlock = "blk.";
constexpr std::string_view kWeight = ".weight";

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
    return bytes.data() + static_cast<std::size_t>(storedRow(row, headRows)) * rowBytes();
}

void decodeRows(const Tensor& tensor, long first, long n, float* out)
{
    const long cols = tensor.cols();
    for (long i = 0; i < n; ++i)
        tensor.format->decode(*tensor.format, tensor.row(first + i), {out + i * cols, static_cast<std::size_t>(cols)});
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
