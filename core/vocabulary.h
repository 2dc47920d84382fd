#pragma once

#include "core/sentencepiece.h"
#include "core/tokenizerfile.h"

#include <string>
#include <vector>

namespace quern {

// A tokenizer as GGUF stores it: one token for every row of the embedding.
struct Vocabulary {
    std::string model;               // tokenizer.ggml.model: "gpt2" (byte-level BPE) or "llama" (SentencePiece)
    std::string pre;                 // tokenizer.ggml.pre
    std::vector<std::string> tokens; // as long as the embedding has rows; rows without a token are "[PAD7]", unused
    std::vector<TokenType> types;
    std::vector<float> scores;       // "llama" only: of two neighbours the pair with the highest score merges first
    std::vector<std::string> merges; // "gpt2" only: "left right", in order of rank
};

// Throw Error where llama.cpp could not work with the result: numbers or texts that occur twice, merges of unknown
// tokens. Tokens beyond the embedding's rows are left out, with a warning.
Vocabulary byteLevelVocabulary(const TokenizerFile& file, std::size_t rows, std::vector<std::string>& warnings);

// file, pieces: null if the model has none, but not both. added: tokens beside those of `file`.
Vocabulary sentencePieceVocabulary(const TokenizerFile* file, const SentencePieces* pieces,
                                   const std::vector<AddedToken>& added, std::size_t rows,
                                   std::vector<std::string>& warnings);

} // namespace quern
