#pragma once

#include "core/model.h"

namespace quern {

// Turns text into the numbers of a model's tokens and back, with the tokenizer that the model brings along
// (tokenizer.ggml.*): the same numbers as llama.cpp. Never changes; copies share everything; for several threads at
// once.
class Tokenizer {
public:
    // addSpecial: with the tokens for beginning and end, if the model wants them. parseSpecial: control tokens that the
    // text spells out ("<|im_end|>") are those tokens; otherwise they are text. (User-defined tokens always are.)
    // The text need not be UTF-8, but what is not may come back as U+FFFD. Throws Error from 2 GiB of text on.
    std::vector<int> encode(std::string_view text, bool addSpecial, bool parseSpecial) const;
    std::vector<int> encode(std::string_view text, bool addSpecial, bool parseSpecial, const Progress& progress) const;

    // The text that the tokens were made of, without the space that encode put before its words. special: control
    // tokens are spelled out, otherwise they give nothing. Throws Error for a number that no token has.
    std::string decode(std::span<const int> tokens, bool special) const;

    // What one token stands for: some bytes, not always whole characters. Control tokens are spelled out.
    std::string_view piece(int token) const;

    std::size_t vocabularySize() const;
    std::string_view model() const;     // "gpt2" (byte-level BPE), "llama" (SentencePiece)
    std::string_view split() const;     // of a gpt2: how it splits text, tokenizer.ggml.pre
    std::optional<int> bos() const;     // begins a text
    std::optional<int> eos() const;     // ends it
    std::optional<int> unknown() const; // stands for what cannot be written
    bool addsBos() const;               // encode does, if asked to add special tokens
    bool addsEos() const;
    bool isControl(int token) const; // gives no text: control, unknown

private:
    struct Parts;

    explicit Tokenizer(std::shared_ptr<const Parts> parts);
    friend Tokenizer tokenizerOf(const Metadata& metadata);

    std::shared_ptr<const Parts> m_parts;
};

// Throw Error where there is no tokenizer, one of a kind that is not known here, or one that contradicts itself.
Tokenizer tokenizerOf(const Metadata& metadata);
Tokenizer tokenizerOf(const Model& model);

} // namespace quern
