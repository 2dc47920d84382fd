#include "core/logitfile.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace quern {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are taken from the file as they are");

constexpr char kMagic[] {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};
constexpr std::size_t kHeader = sizeof(kMagic) + 3 * sizeof(std::int32_t);
constexpr std::size_t kScales = 2 * sizeof(float); // before the codes of a prediction

// Bytes of a prediction; codes are padded to an even number.
std::size_t rowBytes(long vocabulary)
{
    return kScales + sizeof(std::uint16_t) * ((static_cast<std::size_t>(vocabulary) + 1) / 2 * 2);
}

std::size_t firstRow(const Chunks& chunks)
{
    return kHeader + chunks.tokens.size() * sizeof(std::int32_t);
}

std::size_t fileBytes(const Chunks& chunks, long vocabulary)
{
    return firstRow(chunks) + static_cast<std::size_t>(chunks.count() * chunks.scored()) * rowBytes(vocabulary);
}

template <typename T>
T at(std::span<const std::byte> bytes, std::size_t offset)
{
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::int32_t positive(std::span<const std::byte> bytes, std::size_t offset, std::int32_t least,
                      const std::string& source)
{
    const auto value = at<std::int32_t>(bytes, offset);
    if (value < least)
        fail(QUERN_TEXT("core", "%1: the number at byte %2 is %3; at least %4 is expected."), source, offset, value,
             least);
    return value;
}

// The sizes are products of three numbers from the file: compared by division, so that none overflows.
void checkSize(std::size_t size, std::int64_t context, std::int64_t vocabulary, std::int64_t chunks,
               const std::string& source)
{
    const auto ofTokens = static_cast<std::uint64_t>(context) * sizeof(std::int32_t);
    const auto ofRows = static_cast<std::uint64_t>(context - 1 - context / 2) * rowBytes(vocabulary); // < 2^31 * 2^33
    const std::uint64_t each = ofTokens + ofRows, rest = size - kHeader;
    if (rest / each != static_cast<std::uint64_t>(chunks) || rest % each != 0)
        fail(QUERN_TEXT("core",
                        "%1 has %2 bytes; %3 chunks of %4 tokens, with %5 bytes each, do not fit that. The file may "
                        "be incomplete."),
             source, size, chunks, context, each);
}

} // namespace

LogitFile LogitFile::open(const std::filesystem::path& path)
{
    LogitFile file;
    file.m_file = MappedFile::open(path);
    const std::span<const std::byte> bytes = file.m_file->bytes();
    const std::string source = path.string();
    if (bytes.size() < kHeader || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
        fail(QUERN_TEXT("core", "%1 does not begin with \"_logits_\": it is no base file of llama-perplexity."),
             source);
    const std::int64_t context = positive(bytes, 8, 4, source);
    file.m_vocabulary = positive(bytes, 12, 1, source);
    const std::int64_t chunks = positive(bytes, 16, 1, source);
    checkSize(bytes.size(), context, file.m_vocabulary, chunks, source);

    file.m_chunks.context = context;
    file.m_chunks.tokens.resize(static_cast<std::size_t>(context * chunks));
    for (std::size_t i = 0; i < file.m_chunks.tokens.size(); ++i) {
        const auto token = at<std::int32_t>(bytes, kHeader + i * sizeof(std::int32_t));
        if (token < 0 || token >= file.m_vocabulary)
            fail(QUERN_TEXT("core", "%1: token %2 is %3; the vocabulary has %4."), source, i, token, file.m_vocabulary);
        file.m_chunks.tokens[i] = token;
    }
    file.m_first = firstRow(file.m_chunks);
    return file;
}

StoredDistribution LogitFile::distribution(long chunk, long prediction) const
{
    const std::size_t row = static_cast<std::size_t>(chunk * m_chunks.scored() + prediction) * rowBytes(m_vocabulary);
    const std::span<const std::byte> bytes = m_file->bytes().subspan(m_first + row, rowBytes(m_vocabulary));
    const auto scale = at<float>(bytes, 0), lowest = at<float>(bytes, sizeof(float));
    if (!std::isfinite(scale) || !std::isfinite(lowest) || scale < 0)
        fail(QUERN_TEXT("core",
                        "%1: the scale and least probability at byte %2 are %3 and %4; finite numbers are expected."),
             m_file->path().string(), m_first + row, static_cast<double>(scale), static_cast<double>(lowest));
    // Rows begin at multiples of 4 bytes, so the codes are aligned.
    return {scale,
            lowest,
            {reinterpret_cast<const std::uint16_t*>(bytes.data() + kScales), static_cast<std::size_t>(m_vocabulary)}};
}

LogitWriter::LogitWriter(const std::filesystem::path& path, const Chunks& chunks, long vocabulary, bool overwrite)
    : m_vocabulary(vocabulary)
    , m_scored(chunks.scored())
    , m_first(firstRow(chunks))
    , m_file(path, fileBytes(chunks, vocabulary), overwrite)
{
    std::vector<std::byte> header(m_first);
    std::memcpy(header.data(), kMagic, sizeof kMagic);
    const std::int32_t sizes[] {static_cast<std::int32_t>(chunks.context), static_cast<std::int32_t>(vocabulary),
                                static_cast<std::int32_t>(chunks.count())};
    std::memcpy(header.data() + sizeof kMagic, sizes, sizeof sizes);
    if (!chunks.tokens.empty())
        std::memcpy(header.data() + kHeader, chunks.tokens.data(), chunks.tokens.size() * sizeof(std::int32_t));
    m_file.write(0, header);
}

void LogitWriter::write(long chunk, long prediction, std::span<const float> logits)
{
    std::vector<std::byte> row(rowBytes(m_vocabulary));
    std::vector<std::uint16_t> codes(logits.size());
    const StoredDistribution distribution = stored(logits, codes);
    std::memcpy(row.data(), &distribution.scale, sizeof(float));
    std::memcpy(row.data() + sizeof(float), &distribution.lowest, sizeof(float));
    std::memcpy(row.data() + kScales, codes.data(), codes.size() * sizeof(std::uint16_t));
    m_file.write(m_first + static_cast<std::size_t>(chunk * m_scored + prediction) * row.size(), row);
}

} // namespace quern
