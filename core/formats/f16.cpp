#include "core/blockformat.h"
#include "core/stored.h"

#ifdef __F16C__
#include <immintrin.h>
#endif

// F16: IEEE 754 binary16, rounded to nearest even; beyond 65504 it overflows to infinity.
namespace quern {
namespace {

// Compilers turn neither conversion into the processor's instruction, which is twice as fast as the portable code.
std::size_t encodeFast([[maybe_unused]] const float* x, [[maybe_unused]] std::byte* out, [[maybe_unused]] std::size_t n)
{
    std::size_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    return i;
}

std::size_t decodeFast([[maybe_unused]] const std::byte* in, [[maybe_unused]] float* x, [[maybe_unused]] std::size_t n)
{
    std::size_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i))));
#endif
    return i;
}

void encode(const BlockFormat&, std::span<const float> x, const Fit&, std::byte* blocks)
{
    auto* stored = reinterpret_cast<Half*>(blocks);
    for (std::size_t i = encodeFast(x.data(), blocks, x.size()); i < x.size(); ++i)
        stored[i] = x[i];
}

void decode(const BlockFormat&, const std::byte* blocks, std::span<float> x)
{
    const auto* stored = reinterpret_cast<const Half*>(blocks);
    for (std::size_t i = decodeFast(blocks, x.data(), x.size()); i < x.size(); ++i)
        x[i] = stored[i];
}

void place(const BlockFormat& format, std::byte* block, int, std::span<float> x)
{
    encode(format, x, {}, block);
    decode(format, block, x);
}

} // namespace

extern const BlockFormat f16;
constinit const BlockFormat f16 {
    .name = "F16", .id = 1, .values = 1, .bytes = 2, .encode = encode, .decode = decode, .place = place};

} // namespace quern
