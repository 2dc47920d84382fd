#include "core/model.h"

#include <algorithm>
#include <array>
#include <fstream>

namespace quern {

const Tensor* Model::find(std::string_view name) const
{
    const auto it = std::ranges::find(tensors, name, &Tensor::name);
    return it == tensors.end() ? nullptr : &*it;
}

std::uint64_t Model::parameters() const
{
    std::uint64_t n = 0;
    for (const Tensor& tensor : tensors)
        n += static_cast<std::uint64_t>(tensor.count());
    return n;
}

std::uint64_t Model::bytes() const
{
    std::uint64_t n = 0;
    for (const Tensor& tensor : tensors)
        n += tensor.bytes.size();
    return n;
}

double Model::bitsPerWeight() const
{
    const std::uint64_t n = parameters();
    return n > 0 ? 8.0 * static_cast<double>(bytes()) / static_cast<double>(n) : 0.0;
}

std::string_view Model::architecture() const
{
    return metadata.text("general.architecture").value_or("");
}

void Model::check() const
{
    for (const auto& part : storage)
        part->check();
}

namespace {

std::vector<std::byte> head(const std::filesystem::path& path)
{
    std::vector<std::byte> bytes(64);
    std::ifstream file(path, std::ios::binary);
    if (!file)
        fail(QUERN_TEXT("core", "%1 cannot be read: it does not exist or you may not read it."), path.string());
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    return bytes;
}

} // namespace

Model openModel(const std::filesystem::path& path)
{
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(path, ignored);
    const std::vector<std::byte> first = folder ? std::vector<std::byte> {} : head(path);
    for (const Container* container : containers()) {
        if (!container->recognises(path, first))
            continue;
        Model model = container->open(path);
        model.container = container;
        model.path = path;
        return model;
    }
    if (folder)
        fail(QUERN_TEXT(
                 "core",
                 "The folder %1 holds no model: neither config.json with safetensors files nor a GGUF file was found."),
             path.string());
    if (first.empty())
        fail(QUERN_TEXT("core", "The file %1 is empty. The download may have failed."), path.string());
    fail(
        QUERN_TEXT("core", "The file %1 is no model that can be opened: it begins neither as GGUF nor as safetensors."),
        path.string());
}

} // namespace quern
