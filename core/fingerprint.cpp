#include "core/fingerprint.h"

#include "core/gguf.h"
#include "core/parallel.h"
#include "core/sha256.h"

#include <algorithm>

namespace quern {
namespace {

constexpr std::size_t kPiece = 4 << 20; // bytes hashed by one task

struct Piece {
    std::span<const std::byte> bytes;
    std::string hash;
};

} // namespace

std::string fingerprint(const Model& model, Progress& progress)
{
    Sha256 all;
    const auto addText = [&](const std::string& text) {
        all.add(std::as_bytes(std::span(text)));
        all.add(std::as_bytes(std::span("\n", 1)));
    };
    all.add(gguf::layout(model.metadata, {}).header);
    std::vector<Piece> pieces;
    for (const Tensor& tensor : model.tensors) {
        addText(tensor.name + ' ' + std::string(tensor.format->name) + ' ' + std::to_string(tensor.headRows));
        for (const long n : tensor.shape)
            addText(std::to_string(n));
        for (auto rest = tensor.bytes; !rest.empty(); rest = rest.subspan(pieces.back().bytes.size()))
            pieces.push_back({rest.first(std::min(kPiece, rest.size())), {}});
    }
    parallelFor(static_cast<long>(pieces.size()), progress, [&](long i) {
        Piece& piece = pieces[static_cast<std::size_t>(i)];
        Sha256 hash;
        hash.add(piece.bytes);
        piece.hash = hash.hexadecimal();
        progress.report(static_cast<double>(i) / static_cast<double>(pieces.size()), "fingerprint");
    });
    for (const Piece& piece : pieces)
        addText(piece.hash);
    model.check();
    return all.hexadecimal();
}

} // namespace quern
