#pragma once

#include "core/sentencepiece.h"
#include "tests/core/tinymodel.h"

// SentencePiece models (tokenizer.model), written as sentencepiece_model.proto says.
namespace tiny {

inline std::string varint(std::uint64_t value)
{
    std::string bytes;
    for (; value >= 0x80; value >>= 7)
        bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

inline std::string field(int number, const std::string& bytes)
{
    return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}

inline std::string piece(const std::string& text, float score, int type)
{
    std::string message = field(1, text) + "\x15" + std::string(reinterpret_cast<const char*>(&score), 4);
    return field(1, message + "\x18" + static_cast<char>(type));
}

// The pieces of byteFallbackTokenizer with scores of their own.
inline std::string sentencePieceModel()
{
    std::string model = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
    const Json vocabulary = byteFallbackTokenizer()["model"]["vocab"];
    for (const auto& [text, id] : vocabulary.items())
        if (id >= 3)
            model += piece(text, id < 259 ? 0.0F : 258.5F - id.get<float>(), id < 259 ? 6 : 1);
    return model;
}

inline quern::SentencePieces pieces(const std::string& message)
{
    return quern::sentencePieces(std::as_bytes(std::span(message)), "tokenizer.model");
}

} // namespace tiny
