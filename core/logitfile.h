#pragma once

#include "core/chunks.h"
#include "core/gguf.h"
#include "core/mappedfile.h"
#include "core/prediction.h"

namespace quern {

// A base file of llama-perplexity (--kl-divergence-base): the distributions that a model predicts for the scored
// tokens of every chunk, 16 bits a token of the vocabulary. Numbers are little-endian: "_logits_", int32 context,
// vocabulary, chunks, the tokens, and for every prediction float scale, float lowest, uint16 codes, an even number.
class LogitFile {
public:
    // Throws Error unless every size, token and scale agrees with the file. It is mapped, not read.
    static LogitFile open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return m_file->path(); }
    const Chunks& chunks() const { return m_chunks; }
    long vocabulary() const { return m_vocabulary; }
    StoredDistribution distribution(long chunk, long prediction) const; // prediction: of those scored
    void check() const { m_file->check(); }                             // throws Error if the file has shrunk meanwhile

private:
    std::shared_ptr<const MappedFile> m_file;
    Chunks m_chunks;
    long m_vocabulary = 0;
    std::size_t m_first = 0; // byte of the first prediction
};

// Writes a base file. It appears under its name once it is whole. Throws Error where the disk does.
class LogitWriter {
public:
    LogitWriter(const std::filesystem::path& path, const Chunks& chunks, long vocabulary, bool overwrite);

    // Any order, any thread. logits: one per token of the vocabulary.
    void write(long chunk, long prediction, std::span<const float> logits);
    void commit() { m_file.commit(); }

private:
    long m_vocabulary, m_scored;
    std::size_t m_first;
    PendingFile m_file;
};

} // namespace quern
