#include "core/gguf.h"

#include "core/mappedfile.h"
#include "core/nonfinite.h"
#include "core/part.h"
#include "core/sha256.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

// GGUF, in one file or in several named "name-00001-of-00003.gguf" (gguf-split). Specification:
// github.com/ggml-org/ggml/blob/master/docs/gguf.md
namespace quern {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf";

// The GGUF files of a folder that a model begins with.
std::vector<fs::path> models(const fs::path& folder)
{
    std::vector<fs::path> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const auto shard = partName(entry.path().filename().string(), kSuffix);
        if (entry.path().extension() == kSuffix && entry.is_regular_file(ignored) && (!shard || shard->number == 1))
            found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
}

bool recognises(const fs::path& path, std::span<const std::byte> head)
{
    if (!head.empty())
        return head.size() >= 4 && std::memcmp(head.data(), "GGUF", 4) == 0;
    std::error_code ignored;
    return fs::is_directory(path, ignored) && !models(path).empty();
}

// What split.no, split.count and split.tensors.count say of one file; -1 where they say nothing.
struct Split {
    std::int64_t number, count, tensors;
};

Split splitOf(const Metadata& metadata)
{
    return {metadata.integer("split.no").value_or(-1), metadata.integer("split.count").value_or(-1),
            metadata.integer("split.tensors.count").value_or(-1)};
}

// Adds a file's tensors to the model; returns its metadata.
Metadata append(Model& model, const fs::path& path, Sha256& hash)
{
    const auto file = MappedFile::open(path);
    gguf::Directory directory = gguf::directory(file->bytes(), path.string());
    hash.add(file->bytes().first(std::min<std::size_t>(directory.dataBegin, file->bytes().size())));
    file->check();
    model.storage.push_back(file);
    model.fileBytes += file->bytes().size();
    std::ranges::move(directory.tensors, std::back_inserter(model.tensors));
    std::ranges::move(directory.warnings, std::back_inserter(model.warnings));
    return std::move(directory.metadata);
}

void checkShard(const fs::path& path, const PartName& name, const Split& split)
{
    if (split.number + 1 != name.number || split.count != name.count)
        fail(QUERN_TEXT("core",
                        "%1 is part %2 of %3 by its name, but its metadata say part %4 of %5. The parts may have been "
                        "renamed or mixed up."),
             path.string(), name.number, name.count, split.number + 1, split.count);
}

void appendOthers(Model& model, const fs::path& first, const PartName& name, Sha256& hash)
{
    for (int i = 2; i <= name.count; ++i) {
        const fs::path path = first.parent_path() / name.file(i);
        std::error_code ignored;
        if (!fs::exists(path, ignored))
            fail(QUERN_TEXT("core",
                            "Part %1 of %2 of the model is missing: %3 is not there. All parts must lie in one "
                            "folder."),
                 i, name.count, path.string());
        checkShard(path, {name.stem, name.suffix, i, name.count}, splitOf(append(model, path, hash)));
    }
}

void checkWhole(const Model& model, const fs::path& first, std::int64_t tensors)
{
    if (tensors >= 0 && static_cast<std::int64_t>(model.tensors.size()) != tensors)
        fail(QUERN_TEXT("core",
                        "The parts of %1 hold %2 tensors; split.tensors.count says %3. Parts may have been mixed up."),
             first.string(), model.tensors.size(), tensors);
    std::unordered_set<std::string_view> names;
    for (const Tensor& tensor : model.tensors)
        if (!names.insert(tensor.name).second)
            fail(QUERN_TEXT("core", "The parts of %1 hold two tensors named %2. Parts may have been mixed up."),
                 first.string(), tensor.name);
}

// A file that says it is a part, but is not named like one: its tensors can be looked at, the model is not whole.
void warnOfPart(Model& model, const fs::path& path, const Split& split)
{
    model.warnings.push_back(
        sentence(QUERN_TEXT("core",
                            "%1 says it is part %2 of %3 of a model of %4 tensors, but is not named like a part; its "
                            "%5 tensors are shown alone."),
                 path.string(), split.number + 1, split.count, split.tensors, model.tensors.size()));
    model.obstacle = partAlone(path);
}

fs::path chosen(const fs::path& path)
{
    std::error_code ignored;
    if (!fs::is_directory(path, ignored))
        return path;
    const std::vector<fs::path> found = models(path);
    if (found.empty())
        fail(QUERN_TEXT("core", "The folder %1 holds no GGUF file."), path.string());
    if (found.size() > 1)
        fail(QUERN_TEXT("core", "The folder %1 holds %2 GGUF models, %3 for one. Open one of the files."),
             path.string(), found.size(), found.front().filename().string());
    return found.front();
}

void openShards(Model& model, const fs::path& path, const PartName& name, Sha256& hash)
{
    const Split split = splitOf(model.metadata);
    checkShard(path, name, split);
    if (name.number != 1)
        fail(QUERN_TEXT("core", "%1 is part %2 of a model; open the first part, %3."), path.string(), name.number,
             name.file(1));
    appendOthers(model, path, name, hash);
    checkWhole(model, path, split.tensors);
}

Model open(const fs::path& given)
{
    const fs::path path = chosen(given);
    Model model;
    Sha256 hash;
    model.metadata = append(model, path, hash);
    const Split split = splitOf(model.metadata);
    const auto name = partName(path.filename().string(), kSuffix);
    if (name && split.count > 1)
        openShards(model, path, *name, hash);
    else if (split.count > 1)
        warnOfPart(model, path, split);
    if (!model.obstacle) // one whole from here on
        for (const std::string_view key : {"split.no", "split.count", "split.tensors.count"})
            model.metadata.remove(key);
    gguf::checkMeaning(model, path.string());
    warnOfNonFinite(model);
    model.sourceHash = hash.hexadecimal();
    return model;
}

} // namespace

extern const Container ggufContainer;
constinit const Container ggufContainer {.name = "GGUF", .suffix = "gguf", .recognises = recognises, .open = open};

} // namespace quern
