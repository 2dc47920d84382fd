#pragma once

#include "core/calibration.h"
#include "core/progress.h"
#include "core/tensor.h"

#include <map>

namespace quern {

// How much a quantizer asks of a calibration; each includes the ones before.
enum class Needs { Nothing, SumSquares, SecondMoments };

// One knob of a quantizer. The settings panel is built from these.
struct Param {
    std::string_view name; // stable, written into recipes
    const char* label;     // QUERN_TEXT
    double minimum;
    double maximum;
    double preset;
    std::span<const char* const> choices {}; // QUERN_TEXT names of minimum, minimum + 1, ...; empty: any number
};

using Settings = std::map<std::string, double, std::less<>>; // by Param::name; absent means preset

struct Curvature; // core/curvature.h
struct CurvatureNeeds;

struct QuantizerInput {
    const Matrix& weights;             // rows of one matrix: out features x in features, all finite
    std::span<const float> importance; // E[x_i^2] per column, or empty
    float low, high;                   // range of the whole tensor
    const BlockFormat& format;
    const Settings& settings;
    const Curvature* curvature = nullptr; // of this matrix, with all that Quantizer::curvature asks for
    Effort effort = Effort::Best;

    Fit fit(std::span<const float> weighing) const
    {
        return {.importance = weighing, .low = low, .high = high, .effort = effort};
    }
};

// An algorithm that decides which of the values a BlockFormat can represent each weight becomes.
struct Quantizer {
    std::string_view name; // stable, written into recipes
    const char* summary;   // QUERN_TEXT, one sentence
    Needs needs;
    std::span<const Param> params;
    bool (*supports)(const BlockFormat& format);
    // Fills out: weights.rows() rows of format.rowBytes(weights.cols()) bytes. Rows do not depend on each other, so a
    // matrix may come in slabs.
    void (*run)(const QuantizerInput& in, std::span<std::byte> out, Progress& progress);
    // What it asks of H = E[x xᵀ]: for Needs::SecondMoments, else null.
    CurvatureNeeds (*curvature)(const Settings& settings) = nullptr;
};

std::span<const Quantizer* const> quantizers();
const Quantizer* findQuantizer(std::string_view name); // null if unknown

double setting(const Settings& settings, const Param& param);
// Throws Error, naming the method or rewrite `of`, for a setting that it does not have, that is out of range or none of
// the choices.
void checkSettings(std::string_view of, std::span<const Param> params, const Settings& settings);

} // namespace quern
