#pragma once

#include "core/error.h"
#include "core/metadata.h"
#include "core/progress.h"
#include "core/tensor.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern {

// Whatever keeps tensors' bytes alive: a mapped file, a buffer.
class Storage {
public:
    virtual ~Storage() = default;
    virtual void check() const { } // throws Error if bytes have been lost, e.g. the mapped file was cut short
};

struct Container;

// A model: metadata and tensors, never changed once made. Opened from a file or made by quantize();
// the rest of the program cannot tell which, so both can be looked at, evaluated and written alike.
struct Model {
    Metadata metadata;
    std::vector<Tensor> tensors; // in file order, names unique
    std::vector<std::shared_ptr<const Storage>> storage;
    std::vector<std::string> warnings;    // tolerable oddities of the file, a sentence each
    std::filesystem::path path;           // what was opened; empty if made
    const Container* container = nullptr; // what it was opened with; null if made
    std::uint64_t fileBytes = 0;          // of all its files
    std::string sourceHash; // of headers and tensor directory, hexadecimal; says which model a file was made from
    std::optional<Error> obstacle; // why it cannot be exported as GGUF; none: it can

    const Tensor* find(std::string_view name) const; // null if absent
    std::uint64_t parameters() const;                // number of weights
    std::uint64_t bytes() const;                     // of all tensors
    double bitsPerWeight() const;
    std::string_view architecture() const; // general.architecture; empty if unknown
    void check() const;                    // throws Error if bytes have been lost; call after reading tensors
};

// A file format for whole models.
struct Container {
    std::string_view name;   // "GGUF"
    std::string_view suffix; // "gguf"
    // By content, never by suffix. head: the file's first bytes; empty for a folder.
    bool (*recognises)(const std::filesystem::path& path, std::span<const std::byte> head);
    Model (*open)(const std::filesystem::path& path); // validates everything, names tensors canonically
};

std::span<const Container* const> containers();

// Opens a GGUF file (or the first of its shards), a folder with config.json and safetensors, or a safetensors file.
// Maps the data, reads metadata only (and a bounded sample of values, to warn early). Throws Error.
Model openModel(const std::filesystem::path& path);

} // namespace quern
