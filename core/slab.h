#pragma once

#include "core/curvatures.h"
#include "core/outputerror.h"
#include "core/quantize.h"

// Tensors quantized slab by slab: what quantize, exportModel and the previews have in common.
namespace quern {

// Rows that are worked on together: [first, first + rows) of the tensor, all of one matrix.
struct Slab {
    long matrix, first, rows;
};

// All rows, or every stride-th group of them. The same for any number of threads.
std::vector<Slab> slabs(const Tensor& tensor, long stride = 1);

// For measuring what becomes of outputs, by H where it is known.
struct Measuring {
    const InputStats* heldOut; // of tokens that were not calibrated on; may be null
    Curvatures& ofHeldOut;
};

struct SlabInput {
    const Tensor& tensor;
    const Choice& choice;      // format never null
    const BlockFormat& stored; // what the bytes are to be in: the choice's format, or what carries it
    const InputStats* stats;   // may be null
    float low = 0, high = 0;   // of the whole tensor; for formats of Scope::Tensor
    Effort effort = Effort::Best;
    bool zeroNonFinite = false; // else a slab with such weights is counted and left alone
    // Of the slab's matrix; where the choice's quantizer needs it and has none, the nearest values are chosen.
    const Curvature* curvature = nullptr;
    const Measuring* measuring = nullptr; // null: outputs are not measured
    const Tensor* original = nullptr;     // what errors are measured against; null: `tensor`
    OutputProbe seen {}, heldOut {};      // of the slab's matrix, where they are
};

struct SlabResult {
    Matrix original, decoded;     // of what errors are measured against, and of `bytes`; empty unless asked for
    std::vector<std::byte> bytes; // rows of `stored`; empty if the slab was left alone
    Distortion method, kept;      // of the choice; of the bytes
    OutputError seen, heldOut;    // of the bytes, if they were measured
    std::uint64_t nonFinite = 0;
};

// Works on slabs on all cores, matrix by matrix where the choice's quantizer asks for their curvature or outputs are
// measured, which `input`s have then what they need for: body(input, index into slabs). Matrices that have no
// curvature although it is asked for are counted.
struct WithoutCurvature {
    long count = 0, first = 0;
};
WithoutCurvature forEachSlab(const SlabInput& in, std::span<const Slab> slabs, Curvatures& curvatures,
                             Progress& progress, const std::function<void(const SlabInput&, std::size_t)>& body);

SlabResult quantizedSlab(const SlabInput& in, const Slab& slab, bool keepValues, Progress& progress);
// With what becomes of the outputs, where they are measured and the slab is among those that they are measured on.
SlabResult measuredSlab(const SlabInput& in, const Slab& slab, Progress& progress);

// Range of all finite weights of a tensor, 0 included; {0, 0} where the format does not ask for it.
struct Range {
    float low = 0, high = 0;
};
Range rangeFor(const BlockFormat& format, const Tensor& tensor, Progress& progress);

// For previews, which never refuse: the choice's own format, and weights that are no finite numbers count as 0.
SlabInput previewInput(const Tensor& tensor, const Choice& choice, const InputStats* stats, Progress& progress);

// Receives a tensor's bytes: offset from the tensor's start. Called from several threads, in any order.
using Sink = std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)>;

struct Work {
    const Model& model;
    const Plan& plan;
    const Calibration* calibration; // may be null
    const QuantizeOptions& options;
    bool carried; // into formats that GGUF knows
    Curvatures &curvatures, &ofHeldOut;
    const Model* original = nullptr; // what errors are measured against; null: `model`
};

// index: of the tensor in model and plan. Throws Error for non-finite weights, with their number.
TensorResult quantizedTensor(const Work& work, std::size_t index, const Sink& sink, Progress& progress);

} // namespace quern
