#include "core/affine.h"
#include "core/search.h"

#include <algorithm>
#include <array>

// The workbench's own affine formats: 2 to 8 bits, three kinds of zero (core/affine.h), a scale for 16 to 256 weights,
// a row or a tensor. A block is an FP16 scale, then an FP16 minimum or the zero point in a byte, then the codes packed
// from the least significant bit on. Of a whole row the parameters are the block and the codes follow; every row of a
// tensor repeats the tensor's.
namespace quern {

extern const BlockFormat q4_0, q4_1, q5_0, q5_1, q8_0, f16;

namespace {

constexpr int kChunk = 256; // codes that are packed at once; groups are no longer

int parameterBytes(const Affine& affine)
{
    return affine.zero == Zero::Symmetric ? 2 : affine.zero == Zero::Minimum ? 4 : 3;
}

AffineGrid readGrid(const Affine& affine, const std::byte* block)
{
    const auto* halfs = reinterpret_cast<const Half*>(block);
    AffineGrid grid {.scale = halfs[0], .top = (1 << affine.bits) - 1};
    if (affine.zero == Zero::Symmetric)
        grid.zero = 1 << (affine.bits - 1);
    else if (affine.zero == Zero::Minimum)
        grid.minimum = halfs[1];
    else
        grid.zero = std::to_integer<int>(block[2]);
    return grid;
}

struct Range {
    float low, high;
};

// Integers that sort like the floats: compilers reorder their minima, not those of floats.
std::int32_t sortable(std::int32_t bits)
{
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
}

Range rangeOf(std::span<const float> x)
{
    std::int32_t low = sortable(std::bit_cast<std::int32_t>(x[0])), high = low;
    for (const float v : x) {
        const std::int32_t key = sortable(std::bit_cast<std::int32_t>(v));
        low = std::min(low, key);
        high = std::max(high, key);
    }
    return {std::bit_cast<float>(sortable(low)), std::bit_cast<float>(sortable(high))};
}

// Codes, a byte each, a multiple of eight of them. Pairs of four bits are spelt out, so that vectors of them are made.
template <int Bits>
void pack(const std::uint8_t* codes, std::size_t n, std::uint8_t* out)
{
    if constexpr (Bits == 8) {
        std::memcpy(out, codes, n);
    } else if constexpr (Bits == 4) {
        const auto* pairs = reinterpret_cast<const Stored<std::uint16_t>*>(codes);
        for (std::size_t i = 0; i < n / 2; ++i) {
            const std::uint16_t pair = pairs[i];
            out[i] = static_cast<std::uint8_t>(pair | pair >> 4);
        }
    } else {
        for (std::size_t i = 0; i < n; i += 8, out += Bits) {
            std::uint64_t word = 0;
            std::memcpy(&word, codes + i, 8);
            word = packed<Bits>(word);
            std::memcpy(out, &word, Bits);
        }
    }
}

template <int Bits>
void unpack(const std::uint8_t* in, std::size_t n, std::uint8_t* codes)
{
    if constexpr (Bits == 8) {
        std::memcpy(codes, in, n);
    } else if constexpr (Bits == 4) {
        auto* pairs = reinterpret_cast<Stored<std::uint16_t>*>(codes);
        for (std::size_t i = 0; i < n / 2; ++i)
            pairs[i] = static_cast<std::uint16_t>((in[i] | in[i] << 4) & 0x0F0F);
    } else {
        for (std::size_t i = 0; i < n; i += 8, in += Bits) {
            std::uint64_t word = 0;
            for (int k = 0; k < Bits; ++k) // in a register: a copy through memory waits for its parts
                word |= static_cast<std::uint64_t>(in[k]) << (8 * k);
            word = unpacked<Bits>(word);
            std::memcpy(codes + i, &word, 8);
        }
    }
}

template <int Bits>
void writeCodes(const AffineGrid& grid, std::span<const float> x, std::byte* out)
{
    const AffineGrid local = grid;
    const float codesPerUnit = grid.scale == 0.0f ? 0.0f : 1.0f / grid.scale;
    std::array<std::uint8_t, kChunk> codes, bytes;
    for (std::size_t first = 0; first < x.size(); first += kChunk) {
        const std::size_t n = std::min<std::size_t>(kChunk, x.size() - first), eights = (n + 7) / 8 * 8;
        const float* in = x.data() + first;
        for (std::size_t i = 0; i < n; ++i)
            codes[i] = static_cast<std::uint8_t>(local.shifted(in[i], codesPerUnit) + local.zero);
        std::fill(codes.begin() + static_cast<std::ptrdiff_t>(n), codes.begin() + static_cast<std::ptrdiff_t>(eights),
                  std::uint8_t {0});
        pack<Bits>(codes.data(), eights, bytes.data());
        std::memcpy(out + first / 8 * Bits, bytes.data(), (n * Bits + 7) / 8);
    }
}

template <int Bits>
void readCodes(const std::byte* in, std::size_t first, std::span<std::uint8_t> codes)
{
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(in) + first / 8 * Bits;
    const std::size_t whole = codes.size() / 8 * 8;
    unpack<Bits>(bytes, whole, codes.data());
    if (const std::size_t rest = codes.size() - whole; rest > 0) {
        std::array<std::uint8_t, 8> end {}, last {};
        std::memcpy(end.data(), bytes + whole / 8 * Bits, (rest * Bits + 7) / 8);
        unpack<Bits>(end.data(), 8, last.data());
        std::memcpy(codes.data() + whole, last.data(), rest);
    }
}

AffineGrid chosenGrid(const Affine& affine, std::span<const float> x, const Fit& fit, std::size_t first, Tile& tile)
{
    if (affine.scope == Scope::Tensor)
        return affineGrid(affine, fit.low, fit.high, Precision::Half);
    if (fit.importance.empty()) {
        const Range range = rangeOf(x);
        return affineGrid(affine, range.low, range.high, Precision::Half);
    }
    const std::span<const float> importance = fit.importance.subspan(first, x.size());
    const int top = (1 << affine.bits) - 1, middle = 1 << (affine.bits - 1);
    if (affine.zero == Zero::ZeroPoint) {
        const ZeroGrid grid = findZero(tile, x, importance, top, fit.effort);
        return {grid.scale, 0.0f, grid.zero, top};
    }
    tile.loadWhole(x, importance);
    if (affine.zero == Zero::Minimum) {
        const Grid grid = findGrids(tile, {0.0f, static_cast<float>(top)}, fit.effort)[0];
        return {grid.scale, grid.offset, 0, top};
    }
    const Codes codes {static_cast<float>(-middle), static_cast<float>(middle - 1)};
    return {findScales(tile, codes, fit.effort)[0].scale, 0.0f, middle, top};
}

template <int Bits>
void encode(const BlockFormat& format, std::span<const float> x, const Fit& fit, std::byte* blocks)
{
    const std::size_t n = format.values > 0 ? static_cast<std::size_t>(format.values) : x.size();
    Tile tile;
    for (std::size_t first = 0; first < x.size(); first += n, blocks += format.bytes) {
        const std::span<const float> group = x.subspan(first, n);
        const AffineGrid grid = chosenGrid(format.affine, group, fit, first, tile);
        writeGrid(format.affine, grid, blocks);
        writeCodes<Bits>(grid, group, blocks + parameterBytes(format.affine));
    }
}

void put(const AffineGrid& grid, std::span<const std::uint8_t> codes, Zero zero, float* x)
{
    if (zero == Zero::Minimum)
        for (std::size_t i = 0; i < codes.size(); ++i)
            x[i] = grid.scale * static_cast<float>(codes[i]) + grid.minimum;
    else // without the minimum, as in Q4_0: -0 stays -0
        for (std::size_t i = 0; i < codes.size(); ++i)
            x[i] = grid.scale * static_cast<float>(codes[i] - grid.zero);
}

template <int Bits>
void decode(const BlockFormat& format, const std::byte* blocks, std::span<float> x)
{
    const std::size_t n = format.values > 0 ? static_cast<std::size_t>(format.values) : x.size();
    std::array<std::uint8_t, kChunk> buffer;
    for (std::size_t first = 0; first < x.size(); first += n, blocks += format.bytes) {
        const AffineGrid grid = readGrid(format.affine, blocks);
        for (std::size_t i = 0; i < n; i += kChunk) {
            const std::span<std::uint8_t> codes(buffer.data(), std::min<std::size_t>(kChunk, n - i));
            readCodes<Bits>(blocks + parameterBytes(format.affine), i, codes);
            put(grid, codes, format.affine.zero, x.data() + first + i);
        }
    }
}

void place(const BlockFormat& format, std::byte* block, int first, std::span<float> x)
{
    const AffineGrid grid = readGrid(format.affine, block);
    const int bits = format.affine.bits, code = grid.code(x[0]);
    const long at = static_cast<long>(first) * bits;
    auto* codes = reinterpret_cast<std::uint8_t*>(block) + parameterBytes(format.affine) + at / 8;
    const int shift = static_cast<int>(at % 8);
    setBits(codes[0], shift, grid.top & 255 >> shift, code);
    if (shift + bits > 8)
        setBits(codes[1], 0, grid.top >> (8 - shift), code >> (8 - shift));
    const auto stored = static_cast<std::uint8_t>(code);
    put(grid, {&stored, 1}, format.affine.zero, x.data());
}

Grid readGridOf(const BlockFormat& format, const std::byte* block, int)
{
    const AffineGrid grid = readGrid(format.affine, block);
    const float ofZero = -grid.scale * static_cast<float>(grid.zero);
    return {grid.scale, format.affine.zero == Zero::ZeroPoint ? ofZero : grid.minimum};
}

void writeGridOf(const BlockFormat& format, std::byte* block, int, const Grid& wanted)
{
    AffineGrid grid = readGrid(format.affine, block);
    grid.scale = finiteHalf(wanted.scale);
    grid.minimum = finiteHalf(wanted.offset);
    if (format.affine.zero == Zero::ZeroPoint && grid.scale != 0.0f)
        grid.zero = static_cast<int>(roundedWithin(-wanted.offset / grid.scale, 0.0f, static_cast<float>(grid.top)));
    writeGrid(format.affine, grid, block);
}

// 32 codes as Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 have them: halves of bytes, fifth bits apart, signed bytes. `zero` is what
// the carrier adds to the integers: 8, 16, or 0.
std::byte* putCodes(const BlockFormat& carrier, const std::uint8_t* codes, int shift, std::byte* out)
{
    if (&carrier == &q8_0) {
        for (int i = 0; i < 32; ++i)
            out[i] = static_cast<std::byte>(codes[i] + shift);
        return out + 32;
    }
    if (&carrier == &q5_0 || &carrier == &q5_1) {
        std::uint32_t fifth = 0;
        for (int i = 0; i < 32; ++i)
            fifth |= static_cast<std::uint32_t>((codes[i] + shift) >> 4 & 1) << i;
        std::memcpy(out, &fifth, 4);
        out += 4;
    }
    for (int i = 0; i < 16; ++i)
        out[i] = static_cast<std::byte>(((codes[i] + shift) & 15) | ((codes[i + 16] + shift) & 15) << 4);
    return out + 16;
}

int carrierZero(const BlockFormat& carrier)
{
    return &carrier == &q4_0 ? 8 : &carrier == &q5_0 ? 16 : 0;
}

// The carrier's blocks of 32 repeat the scale (and the minimum) of ours, which begin with the same halves.
template <int Bits>
void carry(const BlockFormat& format, const std::byte* blocks, long values, std::byte* out)
{
    const long n = format.values > 0 ? format.values : values;
    const auto parameters = static_cast<std::size_t>(parameterBytes(format.affine));
    const int shift = carrierZero(*format.carrier) - readGrid(format.affine, blocks).zero;
    std::array<std::uint8_t, 32> codes;
    for (long first = 0; first < values; first += n, blocks += format.bytes)
        for (long i = 0; i < n; i += 32) {
            readCodes<Bits>(blocks + parameters, static_cast<std::size_t>(i), codes);
            std::memcpy(out, blocks, parameters);
            out = putCodes(*format.carrier, codes.data(), shift, out + parameters);
        }
}

// The catalogue's entries, and their names: INT4_G128_SYM, INT8_ROW_ZP, INT2_TENSOR_MIN.
constexpr std::array<int, 7> kGroups {16, 32, 64, 128, 256, 0, 0}; // the last two: row, tensor
constexpr std::array<std::string_view, 7> kScopes {"G16", "G32", "G64", "G128", "G256", "ROW", "TENSOR"};
constexpr std::array<std::string_view, 3> kZeros {"SYM", "MIN", "ZP"};
constexpr std::size_t kCount = 7 * kZeros.size() * kScopes.size();
constexpr std::uint32_t kFirstId = kOwnFormats + 100;

struct Name {
    std::array<char, 16> text {};
    std::size_t length = 0;

    constexpr void add(std::string_view part)
    {
        for (const char c : part)
            text[length++] = c;
    }
};

constexpr std::array<Name, kCount> names()
{
    std::array<Name, kCount> all {};
    for (std::size_t i = 0; i < kCount; ++i) {
        const char digit = static_cast<char>('2' + i / 21);
        all[i].add("INT");
        all[i].add({&digit, 1});
        all[i].add("_");
        all[i].add(kScopes[i % 7]);
        all[i].add("_");
        all[i].add(kZeros[i / 7 % 3]);
    }
    return all;
}

constexpr std::array<Name, kCount> kNames = names();

struct Functions {
    decltype(BlockFormat::encode) encode;
    decltype(BlockFormat::decode) decode;
    decltype(BlockFormat::carry) carry;
};

template <int... Bits>
constexpr std::array<Functions, sizeof...(Bits)> functionsOf(std::integer_sequence<int, Bits...>)
{
    return {Functions {encode<Bits + 2>, decode<Bits + 2>, carry<Bits + 2>}...};
}

constexpr auto kFunctions = functionsOf(std::make_integer_sequence<int, 7>());

struct Carrier {
    const BlockFormat* format;
    bool exact;
};

constexpr Carrier carrierOf(const Affine& affine, int group)
{
    const bool blocksOf32 = group % 32 == 0; // rows: if they are multiples of 32, see storedAs
    if (blocksOf32 && affine.zero == Zero::Symmetric)
        return {affine.bits <= 4 ? &q4_0 : affine.bits == 5 ? &q5_0 : &q8_0, true};
    if (blocksOf32 && affine.zero == Zero::Minimum && affine.bits <= 5)
        return {affine.bits <= 4 ? &q4_1 : &q5_1, true};
    return {&f16, false};
}

constexpr BlockFormat entry(std::size_t i)
{
    const Affine affine {.bits = static_cast<int>(2 + i / 21),
                         .zero = static_cast<Zero>(i / 7 % 3),
                         .scope = i % 7 == 6 ? Scope::Tensor
                             : i % 7 == 5    ? Scope::Row
                                             : Scope::Block};
    const int group = kGroups[i % 7];
    const int parameters = affine.zero == Zero::Symmetric ? 2 : affine.zero == Zero::Minimum ? 4 : 3;
    const Functions& functions = kFunctions[i / 21];
    const Carrier carrier = carrierOf(affine, group);
    return {.name = {kNames[i].text.data(), kNames[i].length},
            .id = kFirstId + static_cast<std::uint32_t>(i),
            .values = group,
            .bytes = parameters + group * affine.bits / 8,
            .affine = affine,
            .encode = functions.encode,
            .decode = functions.decode,
            .place = place,
            .regrid = affine.scope == Scope::Block
                ? Regrid {affine.zero != Zero::Symmetric, readGridOf, writeGridOf, nullptr}
                : Regrid {},
            .carrier = carrier.format,
            .carry = carrier.exact ? functions.carry : nullptr};
}

template <std::size_t... I>
constexpr std::array<BlockFormat, kCount> entries(std::index_sequence<I...>)
{
    return {entry(I)...};
}

constinit const std::array<BlockFormat, kCount> kEntries = entries(std::make_index_sequence<kCount>());

} // namespace

extern const std::span<const BlockFormat> affineFormats;
constinit const std::span<const BlockFormat> affineFormats = kEntries;

} // namespace quern
