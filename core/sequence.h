#pragma once

#include "core/calibrate.h"
#include "core/shift.h"
#include "core/store.h"

// Quantizing block by block, each for the inputs that it gets from the blocks before it as they have become.
namespace quern {

// Carries out a plan with `sequential`. The text goes through the original blocks and, beside that, through those made
// so far. Of every matrix of a block H = E[x xᵀ] is that of the second, x; by what these inputs lack to the first its
// targets are shifted (shift.h), those of experts excepted; then it is quantized as without a sequence. The output
// matrix comes last, with such inputs too. Tensors outside of blocks come first, weighed by what work.calibration knows
// of them, the embedding by embeddingReaders. Hidden states are in files in the workspace, and what is known of one
// block is gone when the next one comes, so that memory is bounded by sequenceNeeds. The same bytes for any number of
// threads. Throws Error, Cancelled.
void quantizeSequentially(const Work& work, const Store& store, Progress& progress);

// The private memory of a program that does it, at most, and room that it takes on the disk besides the result.
CalibrationNeeds sequenceNeeds(const Model& model, const Chunks& chunks);

// Stands for a calibration of which only that is known which tensors it will be of: what resolve goes by.
// texts: where it says so, what the calibration is to be made of; may be null.
Calibration foreseen(const Model& model, const Calibration* texts);

} // namespace quern
