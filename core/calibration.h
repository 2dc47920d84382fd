#pragma once

#include "core/progress.h"

#include <Eigen/Core>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace quern {

// What a weight saw as input while the model read the calibration text. x are its input vectors (length = in features);
// sums, so that two runs can be added up. A tensor of experts has a row and a count for each, others have one.
struct InputStats {
    Eigen::MatrixXd sumSquares; // experts (or 1) x in features: sum of x_i^2
    std::vector<double> counts; // experts (or 1): number of x

    // E[x_i^2] of expert `matrix`, the weight of an error in column i; all ones for an expert that saw no input.
    std::vector<float> importance(long matrix) const;
};

struct Calibration {
    std::map<std::string, InputStats, std::less<>> inputs; // by tensor name: "blk.0.attn_q.weight"
    std::vector<std::string> datasets;                     // names of the texts
    long chunks = 0;
    std::filesystem::path path; // where it was read from; empty if made

    const InputStats* find(std::string_view tensor) const; // null if absent
};

// Reads an importance matrix of llama.cpp: GGUF (in_sum2, counts) or the legacy format, which does not say how many
// experts a tensor has and gives all of them as one row. Checks every size against the file and every number for being
// finite and not negative. Throws Error.
Calibration readImatrix(const std::filesystem::path& path);
Calibration imatrixFromBytes(std::span<const std::byte> file, std::string_view source); // source: name for messages

} // namespace quern
