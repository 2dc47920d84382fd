#include "core/sentencepiece.h"

#include "core/error.h"

#include <cmath>
#include <cstring>

namespace quern {
namespace {

constexpr std::size_t kMostPieces = std::size_t {1} << 21;

// A field of a protobuf message: protobuf.dev/programming-guides/encoding.
struct Field {
    std::uint32_t number = 0;
    std::uint64_t value = 0;          // of wire types varint, 64 bit and 32 bit
    std::span<const std::byte> bytes; // of the length-delimited wire type
};

class Message {
public:
    Message(std::span<const std::byte> bytes, std::string_view source)
        : m_bytes(bytes)
        , m_source(source)
    {
    }

    bool atEnd() const { return m_at == m_bytes.size(); }

    Field next()
    {
        const std::uint64_t tag = varint();
        Field field {.number = static_cast<std::uint32_t>(tag >> 3)};
        switch (tag & 7) {
        case 0:
            field.value = varint();
            return field;
        case 1:
            field.value = fixed(8);
            return field;
        case 2:
            field.bytes = taken(varint());
            return field;
        case 5:
            field.value = fixed(4);
            return field;
        default:
            damaged();
        }
    }

private:
    std::span<const std::byte> taken(std::uint64_t count)
    {
        if (count > m_bytes.size() - m_at)
            damaged();
        const auto part = m_bytes.subspan(m_at, static_cast<std::size_t>(count));
        m_at += part.size();
        return part;
    }

    std::uint64_t varint()
    {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<std::uint64_t>(taken(1)[0]);
            value |= (byte & 0x7F) << shift;
            if (byte < 0x80)
                return value;
        }
        damaged();
    }

    std::uint64_t fixed(std::size_t count)
    {
        std::uint64_t value = 0;
        std::memcpy(&value, taken(count).data(), count);
        return value;
    }

    [[noreturn]] void damaged() const
    {
        fail(QUERN_TEXT("core",
                        "The file %1 is no SentencePiece model: its message breaks off or is malformed at byte %2 of a "
                        "part of %3 bytes. The download may be incomplete."),
             m_source, m_at, m_bytes.size());
    }

    std::span<const std::byte> m_bytes;
    std::string_view m_source;
    std::size_t m_at = 0;
};

std::string text(std::span<const std::byte> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

SentencePieces::Piece piece(std::span<const std::byte> bytes, std::size_t number, std::string_view source)
{
    SentencePieces::Piece piece;
    for (Message message(bytes, source); !message.atEnd();) {
        const Field field = message.next();
        if (field.number == 1) {
            piece.text = text(field.bytes);
        } else if (field.number == 2) {
            const auto bits = static_cast<std::uint32_t>(field.value);
            std::memcpy(&piece.score, &bits, sizeof bits);
        } else if (field.number == 3) {
            if (field.value < 1 || field.value > 6)
                fail(QUERN_TEXT("core", "Piece %1 of %2 is of type %3; SentencePiece has the types 1 to 6."), number,
                     source, field.value);
            piece.type = static_cast<TokenType>(field.value);
        }
    }
    if (!std::isfinite(piece.score))
        fail(QUERN_TEXT("core", "The score of piece %1 (\"%2\") of %3 is no finite number."), number, piece.text,
             source);
    return piece;
}

bool addsDummyPrefix(std::span<const std::byte> normalizer, std::string_view source)
{
    bool adds = true;
    for (Message message(normalizer, source); !message.atEnd();)
        if (const Field field = message.next(); field.number == 3)
            adds = field.value != 0;
    return adds;
}

} // namespace

SentencePieces sentencePieces(std::span<const std::byte> message, std::string_view source)
{
    SentencePieces model;
    for (Message reader(message, source); !reader.atEnd();) {
        const Field field = reader.next();
        if (field.number == 1) {
            if (model.pieces.size() == kMostPieces)
                fail(QUERN_TEXT("core", "The file %1 lists more than %2 pieces: no vocabulary is that large."), source,
                     kMostPieces);
            model.pieces.push_back(piece(field.bytes, model.pieces.size(), source));
        } else if (field.number == 3) {
            model.addDummyPrefix = addsDummyPrefix(field.bytes, source);
        }
    }
    if (model.pieces.empty())
        fail(QUERN_TEXT("core", "The file %1 is no SentencePiece model: it lists no pieces."), source);
    return model;
}

} // namespace quern
