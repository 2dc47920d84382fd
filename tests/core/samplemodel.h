#pragma once

#include "core/gguf.h"
#include "tests/core/testfiles.h"

#include <algorithm>
#include <cmath>
#include <random>

// A small model of everything GGUF can hold.
namespace sample {

namespace fs = std::filesystem;
using namespace quern;

struct Buffer final : Storage {
    std::vector<std::byte> bytes;
};

inline void add(Model& model, const char* name, std::vector<long> shape, const char* format, unsigned seed)
{
    Tensor tensor {.name = name, .shape = std::move(shape), .format = findBlockFormat(format)};
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto buffer = std::make_shared<Buffer>();
    buffer->bytes.resize(static_cast<std::size_t>(tensor.rows()) * tensor.rowBytes());
    std::vector<float> x(static_cast<std::size_t>(tensor.cols()));
    for (long row = 0; row < tensor.rows(); ++row) {
        std::ranges::generate(x, [&] { return normal(random); });
        tensor.format->encode(*tensor.format, x, {},
                              buffer->bytes.data() + static_cast<std::size_t>(row) * tensor.rowBytes());
    }
    tensor.bytes = buffer->bytes;
    model.storage.push_back(buffer);
    model.tensors.push_back(tensor);
}

inline Metadata allTypes()
{
    Metadata metadata;
    metadata.set("general.architecture", std::string("test"));
    metadata.set("u8", std::uint8_t(200));
    metadata.set("i8", std::int8_t(-100));
    metadata.set("u16", std::uint16_t(60000));
    metadata.set("i16", std::int16_t(-30000));
    metadata.set("u32", std::uint32_t(4000000000));
    metadata.set("i32", std::int32_t(-2000000000));
    metadata.set("f32", 0.1f);
    metadata.set("bool", true);
    metadata.set("text", std::string("Mühle \xE2\x82\xAC", 10));
    metadata.set("u64", std::uint64_t(-1));
    metadata.set("i64", std::int64_t(-1) << 62);
    metadata.set("f64", 0.1);
    metadata.set("array.u8", MetaArray(std::vector<std::uint8_t> {1, 2, 3}));
    metadata.set("array.i8", MetaArray(std::vector<std::int8_t> {-1, 2}));
    metadata.set("array.u16", MetaArray(std::vector<std::uint16_t> {65535}));
    metadata.set("array.i16", MetaArray(std::vector<std::int16_t> {-32768, 5}));
    metadata.set("array.u32", MetaArray(std::vector<std::uint32_t> {0, 1}));
    metadata.set("array.i32", MetaArray(std::vector<std::int32_t> {}));
    metadata.set("array.f32", MetaArray(std::vector<float> {1.5f, -0.0f}));
    metadata.set("array.bool", MetaArray(std::vector<bool> {true, false, true}));
    metadata.set("array.text", MetaArray(std::vector<std::string> {"", "a", std::string("\0b", 2)}));
    metadata.set("array.u64", MetaArray(std::vector<std::uint64_t> {1ull << 63}));
    metadata.set("array.i64", MetaArray(std::vector<std::int64_t> {-5}));
    metadata.set("array.f64", MetaArray(std::vector<double> {1e300}));
    return metadata;
}

inline Model model()
{
    Model model;
    model.metadata = allTypes();
    add(model, "token_embd.weight", {7, 64}, "F16", 1);
    add(model, "output_norm.weight", {64}, "F32", 2);
    add(model, "blk.0.ffn_gate_exps.weight", {3, 5, 32}, "BF16", 3);
    add(model, "blk.0.attn_q.weight", {8, 96}, "Q8_0", 4);
    add(model, "odd.weight", {1, 1}, "F32", 5);
    return model;
}

// Writes a model and returns where to.
inline fs::path written(const Model& model, const fs::path& path)
{
    NoProgress progress;
    writeModel(model, path, true, progress);
    return path;
}

inline bool sameBytes(const Tensor& a, const Tensor& b)
{
    return std::ranges::equal(a.bytes, b.bytes);
}

// Writes the tensors of a model that belong to part `number` of `count`, as gguf-split does.
inline void writePart(const Model& whole, const fs::path& path, std::uint16_t number, std::uint16_t count)
{
    Model part;
    if (number == 0)
        part.metadata = whole.metadata;
    part.metadata.set("split.no", number);
    part.metadata.set("split.count", count);
    part.metadata.set("split.tensors.count", static_cast<std::int32_t>(whole.tensors.size()));
    for (std::size_t i = 0; i < whole.tensors.size(); ++i)
        if (i % count == number)
            part.tensors.push_back(whole.tensors[i]);
    fs::rename(written(part, path.parent_path() / "part"), path);
}

} // namespace sample
