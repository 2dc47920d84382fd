#pragma once

#include "core/model.h"

namespace quern::gguf {

constexpr std::uint32_t kDefaultAlignment = 32;
constexpr std::size_t kLongestName = 63; // bytes of a tensor's name; ggml has 64 with the final zero
constexpr std::size_t kMostDimensions = 4;

// What a GGUF file (version 2 or 3) says before its data, all of it checked against the file.
struct Directory {
    std::uint32_t version = 0;
    Metadata metadata;
    std::vector<Tensor> tensors;       // their bytes are views of the file
    std::uint64_t dataBegin = 0;       // first byte behind the tensor directory, aligned
    std::vector<std::string> warnings; // tolerable oddities, a sentence each
};

// source: name of the file for messages. Throws Error.
Directory directory(std::span<const std::byte> file, std::string_view source);

// Checks that the metadata agree with each other and with the tensors: what llama.cpp would trip over is an Error, the
// rest becomes a warning of the model. source: as above.
void checkMeaning(Model& model, std::string_view source);

// general.alignment, or the default. Throws Error if it is no power of two from 8 bytes to 1 MiB.
std::uint32_t alignment(const Metadata& metadata, std::string_view source);

// Where everything of a GGUF file (version 3) lies, known before any weight is read.
struct Layout {
    std::vector<std::byte> header;      // up to the first tensor's first byte, padding included
    std::vector<std::uint64_t> offsets; // per tensor, from the start of the file
    std::uint64_t fileBytes;
};

struct TensorInfo {
    std::string name;
    std::vector<long> shape;   // outermost first
    const BlockFormat* format; // a GGUF format
};

// Honours general.alignment. Throws Error for names of more than 63 bytes and formats that GGUF does not know.
Layout layout(const Metadata& metadata, std::span<const TensorInfo> tensors);

} // namespace quern::gguf

namespace quern {

// A file being written beside its final name: `path`.part, then synced and renamed. Dropped without commit() it is
// removed; what a killed run left is overwritten. Two exports to one path get two .part files. A target that is a
// symbolic link stays one.
class PendingFile {
public:
    // Checks the folder, that an existing target may be replaced, and that the disk has room for `bytes`, which it
    // takes at once: what is never written reads as zeros. Throws Error.
    PendingFile(std::filesystem::path target, std::uint64_t bytes, bool overwrite);
    ~PendingFile();
    PendingFile(const PendingFile&) = delete;
    PendingFile& operator=(const PendingFile&) = delete;

    // Any order, any thread. Not from a mapped file, which may be cut short meanwhile. Throws Error, e.g. disk full.
    void write(std::uint64_t offset, std::span<const std::byte> bytes);
    const std::filesystem::path& partPath() const { return m_part; }
    void commit(); // sync, rename, sync the folder

private:
    void drop();

    std::filesystem::path m_target, m_part;
    bool m_overwrite;
    int m_file = -1;
};

// Throws Error if `target` is one of the files that the model was opened from, unless it may be overwritten.
void refuseOwnFile(const Model& model, const std::filesystem::path& target, bool overwrite);

// Opens a written .part file with the checks of openModel and compares it with what was meant. Throws Error.
void checkWritten(const PendingFile& file, const Metadata& metadata, std::span<const gguf::TensorInfo> tensors);

// Writes a model as it is as GGUF, atomically; own formats through their carriers. Throws Error, Cancelled.
void writeModel(const Model& model, const std::filesystem::path& path, bool overwrite, Progress& progress);

} // namespace quern
