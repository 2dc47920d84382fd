#include "core/ggufreader.h"

namespace quern::gguf {
namespace {

constexpr std::uint64_t kLargestHeader = 1 << 30; // bytes; the largest vocabularies take some 20 MB

} // namespace

Reader::Reader(std::span<const std::byte> file, std::string_view source)
    : m_file(file)
    , m_source(source)
{
}

void Reader::enter(Section section, std::string name)
{
    m_section = section;
    m_name = std::move(name);
}

void Reader::need(std::uint64_t n, std::uint64_t size) const
{
    std::uint64_t end = 0;
    if (__builtin_mul_overflow(n, size, &end) || __builtin_add_overflow(end, m_at, &end) || end > m_file.size())
        failEnd(n, size);
    if (end > kLargestHeader)
        fail(
            QUERN_TEXT("core", "The metadata of %1 go on behind byte %2; no model needs that much. It may be damaged."),
            m_source, kLargestHeader);
}

void Reader::failEnd(std::uint64_t n, std::uint64_t size) const
{
    const std::uint64_t left = m_file.size() - m_at;
    if (m_section == Section::Header)
        fail(QUERN_TEXT("core",
                        "%1 ends within its header: %2 times %3 bytes are expected at byte %4, %5 bytes "
                        "follow. The download may be incomplete."),
             m_source, n, size, m_at, left);
    if (m_section == Section::Metadata)
        fail(QUERN_TEXT("core",
                        "%1 is too short for its metadata: %6 needs %2 times %3 bytes at byte %4, "
                        "%5 bytes follow. The file may be damaged or the download incomplete."),
             m_source, n, size, m_at, left, m_name);
    fail(QUERN_TEXT("core",
                    "%1 is too short for its list of tensors: %6 needs %2 times %3 bytes at byte %4, "
                    "%5 bytes follow. The file may be damaged or the download incomplete."),
         m_source, n, size, m_at, left, m_name);
}

std::span<const std::byte> Reader::take(std::uint64_t n)
{
    need(n, 1);
    const auto bytes = m_file.subspan(m_at, n);
    m_at += n;
    return bytes;
}

std::string Reader::text()
{
    const auto bytes = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace quern::gguf
