#include "core/huggingface.h"

#include "core/jsontext.h"
#include "core/mappedfile.h"
#include "core/nonfinite.h"
#include "core/part.h"
#include "core/safetensors.h"
#include "core/sha256.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

// A Hugging Face folder: config.json, *.safetensors and, if there are several, an index of them; or one of these files.
namespace quern {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kLargestIndex = 64 << 20; // bytes

bool isThere(const fs::path& path)
{
    std::error_code ignored;
    return fs::exists(path, ignored);
}

std::vector<fs::path> withSuffix(const fs::path& folder, std::initializer_list<std::string_view> suffixes)
{
    std::vector<fs::path> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
        if (std::ranges::find(suffixes, entry.path().extension().string()) != suffixes.end())
            found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
}

bool recognises(const fs::path& path, std::span<const std::byte> head)
{
    if (!head.empty()) // the length of the header, and the header, which is JSON
        return head.size() > 8 && head[8] == std::byte {'{'};
    std::error_code ignored;
    if (!fs::is_directory(path, ignored))
        return false;
    const bool hasConfig = isThere(path / "config.json") && withSuffix(path, {".gguf"}).empty();
    return hasConfig || isThere(path / kIndex) || !withSuffix(path, {".safetensors"}).empty();
}

using Shards = std::map<std::string, std::set<std::string>>; // file name -> tensors that the index says are in it

// Only names of files in the folder itself: an index must not make us read anything else.
void checkFileName(const std::string& name, const std::string& tensor, const std::string& index)
{
    if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string_view("/\\\0", 3)) != name.npos)
        fail(QUERN_TEXT("core", "%1 says that %2 is in \"%3\"; the name of a file in the same folder is expected."),
             index, tensor, name);
}

Shards readIndex(const fs::path& file)
{
    const std::string text = jsonText(file, kLargestIndex);
    Shards shards;
    try {
        const auto index = nlohmann::json::parse(text);
        const auto map = index.find("weight_map");
        if (map == index.end() || !map->is_object())
            fail(QUERN_TEXT("core", "%1 has no entry weight_map that says which tensor is in which file."),
                 file.string());
        for (const auto& [tensor, shard] : map->items()) {
            if (!shard.is_string())
                fail(QUERN_TEXT("core", "%1 names no file for %2."), file.string(), tensor);
            checkFileName(shard.get_ref<const std::string&>(), tensor, file.string());
            shards[shard].insert(tensor);
        }
    } catch (const nlohmann::json::parse_error& error) {
        failJson(file.string(), error.byte);
    } catch (const nlohmann::json::exception&) {
        fail(QUERN_TEXT("core", "%1 is no list of tensors and files."), file.string());
    }
    return shards;
}

// Adds a file's tensors to the model; returns their names.
std::unordered_set<std::string> append(Model& model, const fs::path& path, Sha256& hash)
{
    const auto file = MappedFile::open(path);
    std::vector<Tensor> tensors = safetensors::tensors(file->bytes(), path.string());
    hash.add(file->bytes().first(safetensors::dataBegin(file->bytes())));
    file->check();
    model.storage.push_back(file);
    model.fileBytes += file->bytes().size();
    std::unordered_set<std::string> names;
    for (const Tensor& tensor : tensors)
        names.insert(tensor.name);
    std::ranges::move(tensors, std::back_inserter(model.tensors));
    return names;
}

void appendIndexed(Model& model, const fs::path& folder, const Shards& index, Sha256& hash)
{
    for (const auto& [name, wanted] : index) {
        const fs::path path = folder / name;
        if (!isThere(path))
            fail(
                QUERN_TEXT("core", "%1 is missing; %2 says that %3 tensors are in it. The download may be incomplete."),
                path.string(), kIndex, wanted.size());
        const std::unordered_set<std::string> found = append(model, path, hash);
        for (const std::string& tensor : wanted)
            if (!found.contains(tensor))
                fail(QUERN_TEXT("core",
                                "%1 says that the tensor %2 is in %3, but it is not there. The files may belong to "
                                "different models."),
                     (folder / kIndex).string(), tensor, name);
        if (found.size() > wanted.size())
            model.warnings.push_back(sentence(QUERN_TEXT("core", "%1 holds %2 tensors that %3 does not name."),
                                              path.string(), found.size() - wanted.size(), kIndex));
    }
}

[[noreturn]] void failWithoutWeights(const fs::path& folder)
{
    const std::vector<fs::path> others = withSuffix(folder, {".bin", ".pt", ".pth", ".ckpt"});
    if (others.empty())
        fail(
            QUERN_TEXT("core", "The folder %1 has a config.json but no *.safetensors. The download may be incomplete."),
            folder.string());
    fail(
        QUERN_TEXT("core",
                   "The folder %1 holds its weights as %2, which can run programs when read. Convert it to safetensors "
                   "first."),
        folder.string(), others.front().filename().string());
}

void appendFolder(Model& model, const fs::path& folder, Sha256& hash)
{
    if (isThere(folder / kIndex))
        return appendIndexed(model, folder, readIndex(folder / kIndex), hash);
    if (isThere(folder / "model.safetensors")) {
        append(model, folder / "model.safetensors", hash);
        return;
    }
    const std::vector<fs::path> files = withSuffix(folder, {".safetensors"});
    if (files.empty())
        failWithoutWeights(folder);
    for (const fs::path& file : files)
        append(model, file, hash);
    if (files.size() > 1)
        model.warnings.push_back(
            sentence(QUERN_TEXT("core", "%1 has no %2: whether all of its files are there cannot be told."),
                     folder.string(), kIndex));
}

// A file of a model in parts whose other parts are not known, or not all there.
void appendPart(Model& model, const fs::path& path, const std::string& missing, Sha256& hash)
{
    append(model, path, hash);
    model.warnings.push_back(
        sentence(QUERN_TEXT("core", "%1 is one part of a model, and %2 is not there: its %3 tensors are shown alone."),
                 path.string(), missing, model.tensors.size()));
}

// One file: the whole model where it is a part of one, as with GGUF; the file's tensors where other parts are not
// there. Returns whether it is such a part alone.
bool appendFile(Model& model, const fs::path& path, Sha256& hash)
{
    const fs::path folder = path.parent_path();
    const Shards index = isThere(folder / kIndex) ? readIndex(folder / kIndex) : Shards {};
    if (index.contains(path.filename().string())) {
        const auto absent = std::ranges::find_if(index, [&](const auto& s) { return !isThere(folder / s.first); });
        if (absent == index.end()) {
            appendIndexed(model, folder, index, hash);
            return false;
        }
        appendPart(model, path, absent->first, hash);
        return true;
    }
    const auto name = partName(path.filename().string(), ".safetensors");
    if (!name || name->count < 2) {
        append(model, path, hash);
        return false;
    }
    appendPart(model, path, std::string(kIndex), hash);
    return true;
}

void checkTensors(Model& model, const fs::path& path)
{
    std::unordered_set<std::string_view> names;
    for (const Tensor& tensor : model.tensors) {
        if (!names.insert(tensor.name).second)
            fail(QUERN_TEXT("core", "The files of %1 hold two tensors named %2."), path.string(), tensor.name);
        if (tensor.count() == 0)
            model.warnings.push_back(
                sentence(QUERN_TEXT("core", "Tensor %1 has a dimension of 0 and holds no weights."), tensor.name));
    }
}

Model open(const fs::path& path)
{
    Model model;
    Sha256 hash;
    std::error_code ignored;
    const bool isFolder = fs::is_directory(path, ignored);
    const fs::path folder = isFolder ? path : path.parent_path();
    const bool isPart = !isFolder && appendFile(model, path, hash);
    if (isFolder)
        appendFolder(model, folder, hash);
    checkTensors(model, path);
    const fs::path config = folder / "config.json";
    if (isThere(config)) {
        const std::string text = jsonText(config, kLargestConfig);
        hash.add(std::as_bytes(std::span(text)));
        nameCanonically(model, folder);
    } else {
        model.obstacle.emplace(
            QUERN_TEXT("core", "%1 cannot be exported as GGUF because there is no config.json beside it."),
            std::vector {path.string()});
    }
    if (isPart)
        model.obstacle = partAlone(path);
    warnOfNonFinite(model);
    model.sourceHash = hash.hexadecimal();
    return model;
}

} // namespace

extern const Container huggingFaceContainer;
constinit const Container huggingFaceContainer {
    .name = "safetensors", .suffix = "safetensors", .recognises = recognises, .open = open};

} // namespace quern
