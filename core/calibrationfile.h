#pragma once

#include "core/calibration.h"
#include "core/gguf.h"

// Calibrations as GGUF files. llama.cpp's importance matrix is general.type "imatrix" and, for each weight W, tensors
// W.in_sum2 and W.counts; the others are our own (docs/files.md), and llama.cpp passes them over.
namespace quern::calibrationfile {

constexpr std::string_view kSums = ".in_sum2";      // F32, experts x in features: sums of x^2
constexpr std::string_view kCounts = ".counts";     // F32, experts
constexpr std::string_view kMagnitudes = ".in_abs"; // F32, experts x in features: sums of |x|
constexpr std::string_view kLargest = ".in_max";    // F32, experts x in features: largest |x|
constexpr std::string_view kInputs = ".in_hist";    // I64, LogHistogram::kBins
constexpr std::string_view kOutputs = ".out_hist";  // I64, LogHistogram::kBins
constexpr std::string_view kHessian = ".hessian";   // F32, experts x n (n + 1) / 2: lower triangle of E[x xᵀ] by rows

constexpr const char* kVersionKey = "quern.calibration.version";
constexpr std::uint32_t kVersion = 1;
constexpr const char* kSourceKey = "quern.source_hash";
// Of two arrays of names: weight i has the inputs, and so the H, of weight i of the other.
constexpr const char* kSharingKey = "quern.hessian.weights";
constexpr const char* kSharedKey = "quern.hessian.same_as";

// Floats that are finite and not negative; throws Error for the first that is not.
std::vector<float> magnitudes(std::span<const std::byte> bytes, std::string_view name, std::string_view source);

// Adds our own tensors to a calibration whose sums and counts have been read. storage: the mapped file that holds the
// bytes; null: H is copied. Throws Error for whatever does not fit the sums.
void readExtras(Calibration& calibration, const gguf::Directory& directory,
                const std::shared_ptr<const Storage>& storage, std::string_view source);

} // namespace quern::calibrationfile
