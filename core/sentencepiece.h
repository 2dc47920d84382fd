#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// What a token is, in the numbers that GGUF (tokenizer.ggml.token_type) and SentencePiece share.
enum class TokenType : std::int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

// The vocabulary of a SentencePiece model (tokenizer.model), a protobuf message:
// sentencepiece/src/sentencepiece_model.proto, ModelProto.
struct SentencePieces {
    struct Piece {
        std::string text;
        float score = 0;
        TokenType type = TokenType::Normal;
    };

    std::vector<Piece> pieces;  // by token number
    bool addDummyPrefix = true; // a space before the text's first word
};

// Throws Error where the message is damaged or has more pieces than any vocabulary. source: file name for messages.
SentencePieces sentencePieces(std::span<const std::byte> message, std::string_view source);

} // namespace quern
