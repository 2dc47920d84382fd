#pragma once

#include "core/folds.h"
#include "core/quantizer.h"

namespace quern {

// What a tensor is to become; those that stay as they are have none.
struct Target {
    const Quantizer* quantizer;
    const BlockFormat* format;
    Settings settings;
};
using Targets = std::map<std::string, Target, std::less<>>; // by tensor name

struct RewriteInput {
    const std::vector<Fold>& folds; // that may be used, in the order of computation
    const Calibration& calibration;
    const Targets& targets;
    const Settings& settings;
};

// What was chosen for one fold.
struct FoldReport {
    std::string producer;         // tensor's name
    double before = 0, after = 0; // the loss that the rewrite minimises, with scales of 1 and with those chosen
    bool scaled = false;          // not by 1
    double ratio = 0;             // of those chosen, as the rewrite defines it
};

// Of all places that a rewrite looked at.
struct FoldSummary {
    long places = 0, scaled = 0;
    double before = 0, after = 0; // the losses' sums
};
FoldSummary summaryOf(std::span<const FoldReport> reports);

// A change of several tensors that leaves the network's function as it was and makes quantizing it lose less.
struct Rewrite {
    std::string_view name; // stable, written into recipes
    const char* summary;   // QUERN_TEXT, one sentence
    Needs needs;           // of a calibration
    Needs uses;            // what it makes use of where it is there
    std::span<const Param> params;
    // What to multiply tensors by; see rescaled(). Throws Error where the calibration lacks what it needs, Cancelled.
    FactorsByName (*factors)(const RewriteInput& in, std::vector<FoldReport>& reports, Progress& progress);
};

std::span<const Rewrite* const> rewrites();        // core/catalogue.cpp
const Rewrite* findRewrite(std::string_view name); // null if unknown

} // namespace quern
