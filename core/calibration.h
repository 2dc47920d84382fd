#pragma once

#include "core/hessian.h"
#include "core/loghistogram.h"

#include <filesystem>
#include <map>
#include <string>

namespace quern {

// What a weight saw as input while the model read the calibration text. x are its input vectors (length = in features);
// sums, so that two runs can be added up. A tensor of experts has a row and a count for each, others have one.
struct InputStats {
    Eigen::MatrixXd sumSquares; // experts (or 1) x in features: sum of x_i^2
    std::vector<double> counts; // experts (or 1): number of x

    // What llama.cpp's files lack; empty then.
    Eigen::MatrixXd sumMagnitudes; // experts (or 1) x in features: sum of |x_i|
    Matrix maxMagnitudes;          // experts (or 1) x in features: largest |x_i|
    LogHistogram inputs, outputs;  // of all x_i and of all y_i, those of all experts together

    // H = E[x xᵀ] of every expert (or 1), where it was asked for, else empty; null for an expert that saw no input.
    // Weights that share their input share the object: query, key, value; gate, up.
    std::vector<std::shared_ptr<const Hessian>> hessians;

    // Of a model whose blocks before this one have been quantized, where it was collected for that (sequence.h); in no
    // file. E[z zᵀ] of z = (x, d), d what x lacks to what the original model has there. H is its leading part. Null for
    // experts: other tokens may reach them.
    std::shared_ptr<const Hessian> drifted {};

    bool saw(long matrix) const; // any input but zeros, which older files write where there was none
    // E[x_i^2] of expert `matrix`, the weight of an error in column i; all ones for an expert that saw no input.
    std::vector<float> importance(long matrix) const;
};

struct Calibration {
    std::map<std::string, InputStats, std::less<>> inputs; // by tensor name: "blk.0.attn_q.weight"
    std::vector<std::string> datasets;                     // names of the texts
    long chunks = 0, context = 0;                          // of how many tokens each; 0: not known
    std::string sourceHash;                                // of the model, if it is known
    std::filesystem::path path;                            // where it was read from; empty if made

    const InputStats* find(std::string_view tensor) const; // null if absent

    // Adds another run up. What only one of the two has of a tensor's extras is dropped, since it would not be of all
    // its inputs. Throws Error, and changes nothing, if a tensor has other sizes there.
    void merge(const Calibration& other, Progress& progress);
};

// Reads a calibration: a file of writeCalibration, or an importance matrix of llama.cpp: GGUF (in_sum2, counts) or the
// legacy format, which does not say how many experts a tensor has and gives all of them as one row. Checks every size
// against the file and every number for being what it may be. H stays in the mapped file; its numbers are checked when
// it is used. Throws Error.
Calibration readImatrix(const std::filesystem::path& path);
// From memory, where H is copied. source: name for messages.
Calibration imatrixFromBytes(std::span<const std::byte> file, std::string_view source);

// Writes a GGUF file that llama.cpp reads as an importance matrix, with our own tensors beside (docs/files.md);
// atomically. Throws Error, Cancelled.
void writeCalibration(const Calibration& calibration, const std::filesystem::path& path, bool overwrite,
                      Progress& progress);

} // namespace quern
