#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quern {

// How long an encoder may search: Fast is for previews while a control is dragged, Best for files.
enum class Effort { Fast, Best };

// What an encoder may know besides the values themselves.
struct Fit {
    std::span<const float> importance {}; // as many as values, or empty: all ones
    float low = 0, high = 0;              // range of the whole tensor; read by formats of Scope::Tensor only
    Effort effort = Effort::Best;
};

// The grid of the workbench's own affine formats: x = s * q (Symmetric), s * q + m (Minimum), s * (q - z) (ZeroPoint).
enum class Zero { Symmetric, Minimum, ZeroPoint };
enum class Scope { Block, Row, Tensor }; // which weights share a scale
struct Affine {
    int bits = 0; // 2 to 8; 0 for formats that are not affine
    Zero zero = Zero::Symmetric;
    Scope scope = Scope::Block;
};

// Weights that share a grid are scale * v + offset, v being what their codes stand for (less the zero point, if there
// is one and it is not in the offset).
struct Grid {
    float scale, offset;
};

struct BlockFormat;

// How to change a block's grids and leave the codes as they are. The block's bytes, and the place of a value in it: the
// grid is that of its group (BlockFormat::scaled).
struct Regrid {
    bool offset = false; // grids have one
    Grid (*read)(const BlockFormat& format, const std::byte* block, int first) = nullptr;
    // Stores the nearest grid that the group can have, without a change to others.
    void (*write)(const BlockFormat& format, std::byte* block, int first, const Grid& wanted) = nullptr;
    // Multiplies the scales of all groups, and the offsets of all, by about that much. Null where a block is one group.
    void (*stretch)(const BlockFormat& format, std::byte* block, const Grid& by) = nullptr;
};

// How numbers are stored: `values` weights side by side in a row become `bytes` bytes.
// F32 is the block format with one value per block, so every tensor in a file has one.
// An entry is constant data, comparable by address; its functions get the entry itself as their first argument, so that
// one set of functions serves a family. Functions are pure, may run on any thread, and allocate nothing per block.
struct BlockFormat {
    std::string_view name; // as in GGUF tools, e.g. "Q4_K"; unique, written into recipes
    std::uint32_t id;      // ggml_type in a GGUF file; kOwnFormats and above for formats GGUF does not know; unique
    int values;            // weights per block; 0: a whole row is one block
    int bytes;             // bytes per block; of a whole row: its parameters alone, the codes follow
    int group = 1;         // weights that share a code: 1, or 4 or 8 in lattice codebooks
    int scaled = 0;        // weights that share a scale, and so their levels; 0: all of the block
    bool needsImportance = false; // too coarse to be of use without
    Affine affine {};

    // Chooses the blocks' parameters (scales, minima, ...) to make
    //     sum_i importance[i] * (x[i] - decoded[i])^2
    // small, rounds and packs. x is a row, or whole blocks of one, all finite.
    // Null: the workbench reads this format but does not write it.
    void (*encode)(const BlockFormat& format, std::span<const float> x, const Fit& fit, std::byte* blocks) = nullptr;

    // Never null. Bit-exact with ggml for GGUF formats. x: whole blocks, or a row.
    void (*decode)(const BlockFormat& format, const std::byte* blocks, std::span<float> x);

    // Stores x (`group` values, the first being value `first` of the block) under the parameters already in
    // the block, and replaces them by what they decode to now. Null where encode is.
    void (*place)(const BlockFormat& format, std::byte* block, int first, std::span<float> x) = nullptr;
    // The same in many blocks, `group` values for each, errors counting by importance: `group` numbers that are not
    // negative, not all 0. Null where a code stands for one weight.
    void (*placeWeighted)(const BlockFormat& format, std::span<std::byte* const> blocks, int first, std::span<float> x,
                          std::span<const float> importance)
        = nullptr;

    // Null where scales cannot be changed by themselves.
    Regrid regrid {};

    // The GGUF format that holds this one's values when a model is exported; null for GGUF formats themselves.
    // Blocks of it need not divide the row: see storedAs.
    const BlockFormat* carrier = nullptr;
    // Rewrites blocks that hold `values` weights as blocks of `carrier`. Null: decode, then encode as the carrier,
    // which rounds. Where it is there, the carrier decodes to the same bits.
    void (*carry)(const BlockFormat& format, const std::byte* blocks, long values, std::byte* carrierBlocks) = nullptr;

    bool inGguf() const;
    bool floating() const; // F64, F32, F16, BF16, FP8: one value per block, no parameters
    bool fits(long cols) const { return values == 0 || cols % values == 0; }
    std::size_t rowBytes(long cols) const; // cols must fit
    // What the numbers alone need: parameters of a whole tensor count once, although every row stores them.
    std::uint64_t methodBytes(long rows, long cols) const;
};

constexpr std::uint32_t kOwnFormats = 1000;

std::span<const BlockFormat* const> blockFormats();        // core/catalogue.cpp
const BlockFormat* findBlockFormat(std::string_view name); // null if unknown; case does not matter
const BlockFormat* findBlockFormat(std::uint32_t id);      // null if unknown
// The affine format of these parameters; group 0 with Scope::Row or Scope::Tensor. Null if there is none.
const BlockFormat* findAffineFormat(const Affine& affine, int group);

// What GGUF stores for rows of `cols` weights in `format`: itself, its carrier, or F16 where the carrier's blocks do
// not divide the row. Only into format.carrier may one carry().
const BlockFormat& storedAs(const BlockFormat& format, long cols);

// The values that value `first` of an encoded block (of `values` weights: the row's length for row formats) can take
// under the block's parameters, ascending. For formats of group 1 that can place; empty otherwise.
std::vector<float> levels(const BlockFormat& format, std::span<const std::byte> block, int first);

} // namespace quern
