#pragma once

#include "core/calibration.h"
#include "core/chunks.h"
#include "core/distortion.h"
#include "core/gguf.h"
#include "core/recipe.h"

#include <functional>
#include <optional>

namespace quern {

// What became of one tensor. Distortions are from what a plan's rewrites made of it, also where a sequence has shifted
// its targets.
struct TensorResult {
    std::size_t index;       // in Model::tensors
    Distortion method;       // of the values the method chose
    Distortion stored;       // of what the file holds; differs where the carrier rounds
    std::uint64_t nonFinite; // weights that were no numbers and became 0
    double seconds;
    // E|(W - Ŵ) x|² / E|W x|² of the file's Ŵ: by H = E[x xᵀ] where the calibration holds it, from 512 rows of each
    // matrix or more, else by its diagonal. None where nothing is known of the inputs x. In a sequence the outputs are
    // held against the original model's, whose inputs were x + d: E|W (x + d) - Ŵ x|² / E|W (x + d)|²; against those of
    // W for the same x in experts and outside of blocks, but for the output matrix.
    std::optional<double> rho {}, heldOutRho {}; // heldOutRho: for the inputs of QuantizeOptions::heldOut
    std::vector<std::string> warnings {};        // where the method could not be used as it was chosen: a sentence each
};

struct FoldReport; // rewrite.h
// Called after each of a plan's rewrites, in order, on the calling thread.
using RewriteDone = std::function<void(const Rewrite&, std::span<const FoldReport>)>;
// Called after each tensor, in order, on the calling thread; in a sequence in the order of the network.
using TensorDone = std::function<void(const TensorResult&)>;

struct QuantizeOptions {
    bool zeroNonFinite = false;           // store NaN and infinite weights as 0 instead of refusing
    std::filesystem::path workspace;      // empty: the folder for temporary files; for exportModel, that of the target
    TensorDone done;                      // may be empty
    RewriteDone rewritten {};             // may be empty
    const Chunks* text = nullptr;         // what a plan with `sequential` is calibrated on; not null there
    const Calibration* heldOut = nullptr; // on tokens that were not calibrated on, to measure outputs by; may be null
};

// Works by slabs of rows; keeps finished tensors in an unnamed file in the workspace, so neither source nor result has
// to fit in memory. A plan's rewrites come first. Tensors in formats that GGUF does not know stay in them; those that
// are copied are views of the source, neither read nor reported.
Model quantize(const Model& model, const Plan& plan, const Calibration* calibration, const QuantizeOptions& options,
               Progress& progress);

// What a file made by this plan holds, for gguf::layout.
std::vector<gguf::TensorInfo> tensorInfos(const Model& model, const Plan& plan);

struct ExportOptions : QuantizeOptions {
    bool overwrite = false; // replace an existing file; the opened model itself only if this is set
    bool coarse = false;    // write a plan that is Plan::tooCoarse instead of refusing
};

// quantize and writeModel in one pass: results go straight into `target`'s .part file at their final place, which is
// synced, opened again with the checks of openModel, and renamed last. Whatever happens before that leaves `target` as
// it was. Throws Error, Cancelled.
void exportModel(const Model& model, const Plan& plan, const Calibration* calibration,
                 const std::filesystem::path& target, const ExportOptions& options, Progress& progress);

class Curvatures; // core/curvatures.h

// What previews know of a tensor's inputs.
struct KnownInputs {
    const InputStats* stats;          // null: nothing
    Curvatures* curvatures = nullptr; // keeps what is made of H from one preview to the next; null: made anew

    KnownInputs(const InputStats* of, Curvatures* kept = nullptr) // NOLINT(google-explicit-constructor)
        : stats(of)
        , curvatures(kept)
    {
    }
};

// One tensor quantized in memory, for previews: rows [first, first + n).
struct QuantizedRows {
    Matrix original, decoded; // n x cols
    std::vector<std::byte> blocks;
};
QuantizedRows quantizedRows(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long first, long n,
                            Progress& progress);

// Distortion of a choice on one tensor without keeping the result: of every `stride`-th group of rows, with encoders
// that search less long; 1: of all, and exact, with what becomes of the outputs by H where it is known, as in
// TensorResult::rho.
Distortion preview(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long stride,
                   Progress& progress);

} // namespace quern
