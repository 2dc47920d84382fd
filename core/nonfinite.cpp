#include "core/nonfinite.h"

#include "core/mappedfile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

namespace quern {
namespace {

// Bytes looked at in all: floats by their exponent bits at several GiB/s, others by decoding at some 100 MiB/s.
constexpr std::uint64_t kFloatBytes = 32 << 20;
constexpr std::uint64_t kBlockBytes = 4 << 20;
constexpr std::uint64_t kPiece = 32 << 10; // bytes side by side, enough to be worth a page fault

template <typename Word>
long withFullExponent(std::span<const std::byte> bytes, Word exponent)
{
    long n = 0;
    for (std::size_t i = 0; i + sizeof(Word) <= bytes.size(); i += sizeof(Word)) {
        Word word;
        std::memcpy(&word, bytes.data() + i, sizeof word);
        n += (word & exponent) == exponent;
    }
    return n;
}

long decodedNonFinite(const BlockFormat& format, std::span<const std::byte> bytes)
{
    constexpr std::size_t kBlocks = 64;
    const auto blockBytes = static_cast<std::size_t>(format.bytes), values = static_cast<std::size_t>(format.values);
    std::vector<float> x(kBlocks * values);
    long n = 0;
    for (std::size_t i = 0; i + blockBytes <= bytes.size(); i += kBlocks * blockBytes) {
        const std::size_t blocks = std::min(kBlocks, (bytes.size() - i) / blockBytes);
        const std::span part = std::span(x).first(blocks * values);
        format.decode(format, bytes.data() + i, part);
        n += std::ranges::count_if(part, [](float v) { return !std::isfinite(v); });
    }
    return n;
}

// The scales of four-bit floats have codes for "not a number" that decoders, as ggml's, take for numbers.
// scales: bytes at the start of each block.
long withScale(const BlockFormat& format, std::span<const std::byte> bytes, std::size_t scales, std::byte notANumber)
{
    long n = 0;
    for (std::size_t i = 0; i + static_cast<std::size_t>(format.bytes) <= bytes.size();
         i += static_cast<std::size_t>(format.bytes))
        n += std::ranges::count(bytes.subspan(i, scales), notANumber);
    return n * format.values / static_cast<long>(scales);
}

long nonFinite(const BlockFormat& format, std::span<const std::byte> bytes)
{
    if (format.name == "MXFP4")
        return withScale(format, bytes, 1, std::byte {0xFF});
    if (format.name == "NVFP4")
        return withScale(format, bytes, 4, std::byte {0x7F});
    if (format.name == "F32")
        return withFullExponent<std::uint32_t>(bytes, 0x7F800000);
    if (format.name == "F16")
        return withFullExponent<std::uint16_t>(bytes, 0x7C00);
    if (format.name == "BF16")
        return withFullExponent<std::uint16_t>(bytes, 0x7F80);
    if (format.name == "F64")
        return withFullExponent<std::uint64_t>(bytes, 0x7FF0000000000000);
    return decodedNonFinite(format, bytes);
}

bool isFloat(const Tensor& tensor)
{
    return tensor.format->values == 1;
}

// Part of a tensor: whole blocks.
struct Piece {
    const Tensor* tensor;
    std::span<const std::byte> bytes;
};

// Adds pieces of the tensor at even distances, `share` bytes in all.
void addPieces(const Tensor& tensor, std::uint64_t share, std::vector<Piece>& pieces)
{
    const auto block = static_cast<std::uint64_t>(tensor.format->bytes);
    const std::uint64_t blocks = tensor.bytes.size() / block;
    const std::uint64_t wanted = std::min(blocks, std::max<std::uint64_t>(share / block, 1));
    const std::uint64_t length = wanted == blocks ? blocks : std::clamp<std::uint64_t>(kPiece / block, 1, wanted);
    const std::uint64_t n = wanted / length;
    for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint64_t first = i * ((blocks - length) / std::max<std::uint64_t>(n - 1, 1));
        pieces.push_back({&tensor, tensor.bytes.subspan(first * block, length * block)});
    }
}

std::vector<Piece> sampled(const Model& model)
{
    std::uint64_t floatBytes = 0, blockBytes = 0;
    for (const Tensor& tensor : model.tensors)
        (isFloat(tensor) ? floatBytes : blockBytes) += tensor.bytes.size();
    std::vector<Piece> pieces;
    for (const Tensor& tensor : model.tensors) {
        const std::uint64_t limit = isFloat(tensor) ? kFloatBytes : kBlockBytes;
        const std::uint64_t all = isFloat(tensor) ? floatBytes : blockBytes;
        const std::uint64_t share = all <= limit ? tensor.bytes.size() : limit / model.tensors.size();
        if (!tensor.bytes.empty() && tensor.format->values > 0)
            addPieces(tensor, share, pieces);
    }
    return pieces;
}

// Tells the system that pieces of the model's files are read, for as long as it lives.
class ReadingPieces {
public:
    explicit ReadingPieces(const Model& model)
        : m_model(model)
    {
        expect(true);
    }
    ~ReadingPieces() { expect(false); }
    ReadingPieces(const ReadingPieces&) = delete;
    ReadingPieces& operator=(const ReadingPieces&) = delete;

private:
    void expect(bool pieces) const
    {
        for (const auto& storage : m_model.storage)
            if (const auto* file = dynamic_cast<const MappedFile*>(storage.get()))
                file->expectPieces(pieces);
    }

    const Model& m_model;
};

} // namespace

void warnOfNonFinite(Model& model)
{
    const std::vector<Piece> pieces = sampled(model);
    const ReadingPieces reading(model);
    for (const Piece& piece : pieces)
        MappedFile::fetch(piece.bytes);
    const Tensor* first = nullptr;
    long weights = 0;
    std::unordered_set<const Tensor*> tensors;
    for (const Piece& piece : pieces) {
        const long n = nonFinite(*piece.tensor->format, piece.bytes);
        if (n > 0)
            tensors.insert(piece.tensor);
        first = n > 0 && !first ? piece.tensor : first;
        weights += n;
    }
    model.check();
    if (first)
        model.warnings.push_back(
            sentence(QUERN_TEXT("core",
                                "Among the weights looked at on opening, %1 in %2 tensors (%3 is the first) are NaN or "
                                "infinite. The model may be damaged."),
                     weights, tensors.size(), first->name));
}

} // namespace quern
