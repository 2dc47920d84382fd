#pragma once

#include "core/calibration.h"
#include "core/chunks.h"

#include <functional>

namespace quern {

struct CalibrateOptions {
    bool hessians = false;      // collect H of every input, and what embeddingReaders gives
    bool processOutput = false; // collect the inputs of the output matrix as well, as llama-imatrix --process-output
    std::vector<std::string> datasets; // names of the texts that the tokens are of, kept in the result
    std::filesystem::path workspace;   // folder for hidden states and H; the system's for temporary files if empty
    // Folder in which finished blocks are kept, so that the same calibration goes on from there after an interruption;
    // empty: none. It is made where it is absent, and stays; its parent must exist.
    std::filesystem::path checkpoint;
    // Called after each block, in order, on the calling thread, with that block's statistics alone, H included, for
    // those that use them at once; also for blocks that were finished before an interruption. May be empty.
    std::function<void(const Calibration& ofBlock)> blockDone;
};

// Statistics of the inputs of every weight matrix in a block, and of the outputs' distribution. Block by block: all
// chunks go through a block before the next one is decoded; hidden states are in a file, and so is H of finished
// blocks, so that memory is bounded by calibrationNeeds, whatever the model's size and the text's length. The same
// result for any number of threads, interrupted or not. Throws Error (for values that are not finite, with the
// tensor's name), Cancelled.
Calibration calibrate(const Model& model, const Chunks& chunks, const CalibrateOptions& options, Progress& progress);

// calibrate and writeCalibration, with a checkpoint beside the target that is removed once the target is there.
Calibration calibrateInto(const std::filesystem::path& target, bool overwrite, const Model& model, const Chunks& chunks,
                          const CalibrateOptions& options, Progress& progress);
std::filesystem::path checkpointOf(const std::filesystem::path& target); // where calibrateInto keeps it

// Private memory of a program that calibrates, at most, and room that it takes on the disk, both in bytes.
struct CalibrationNeeds {
    std::uint64_t memory = 0, disk = 0;
};
CalibrationNeeds calibrationNeeds(const Model& model, const Chunks& chunks, const CalibrateOptions& options);

// What a calibration is too small for, a sentence each: H of fewer than 16 tokens a column, experts that saw none.
std::vector<std::string> shortcomings(const Calibration& calibration);

} // namespace quern
