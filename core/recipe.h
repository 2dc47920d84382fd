#pragma once

#include "core/model.h"
#include "core/quantizer.h"

#include <optional>

namespace quern {

struct Preset;
struct Rewrite; // rewrite.h

// What to do with one tensor. No format: store the values as they are.
struct Choice {
    const Quantizer* quantizer = nullptr; // null: copy
    const BlockFormat* format = nullptr;
    Settings settings;

    friend bool operator==(const Choice&, const Choice&) = default;
};

// The last rule whose pattern matches a tensor's name decides. Rules reach only tensors that may be quantized at all
// (preset.h), unless they name one without a wildcard.
struct Rule {
    std::string pattern; // glob: "blk.*.ffn_down.weight" ('*' any text, '?' one character), or "/regular expression/"
    Choice choice;

    friend bool operator==(const Rule&, const Rule&) = default;
};

// A rewrite and its settings.
struct RewriteChoice {
    const Rewrite* rewrite = nullptr; // never null in use
    Settings settings;

    friend bool operator==(const RewriteChoice&, const RewriteChoice&) = default;
};

// What the user wants, for any model: rewrites of the whole, a preset's types, then rules upon them.
struct Recipe {
    std::string name;
    const Preset* preset = nullptr;      // null: tensors that no rule matches are stored as they are
    const Quantizer* method = nullptr;   // of the preset's types, where it can produce them; null: usualMethod
    Settings settings;                   // of `method`
    std::vector<RewriteChoice> rewrites; // in this order, before anything is quantized
    std::vector<Rule> rules;
    // Quantize block by block, each calibrated on what those before it have become (sequence.h); its settings. None:
    // all at once, on a calibration of the original.
    std::optional<Settings> sequential {};

    friend bool operator==(const Recipe&, const Recipe&) = default;
};

// Unknown keys, names and settings are refused with their place. Throws Error.
Recipe recipeFromJson(std::string_view json, std::string_view source); // source: file name for messages
std::string toJson(const Recipe& recipe, int indent = 2);              // indent -1: in one line

bool matches(const Rule& rule, std::string_view tensorName);

// What quantizes a preset's types if the recipe names no method: the best that is known (docs/quality.md), gptq+descent
// where second moments of the inputs are known and it can produce the format, else nearest.
const Quantizer& usualMethod(const BlockFormat& format, bool moments);

// The most that its methods ask of a calibration, usualMethod included, and its rewrites make use of.
Needs needsOf(const Recipe& recipe);

// One tensor's part in a plan.
struct PlannedTensor {
    Choice choice;                      // format never null: of the result
    const BlockFormat* stored;          // in the file: choice.format or its carrier
    std::uint64_t methodBytes;          // what the method needs
    std::uint64_t storedBytes;          // what the file takes
    const BlockFormat* asked = nullptr; // what the preset wanted where the shape made it fall back; else null
};

// A recipe applied to a model: one choice per tensor, in the order of Model::tensors.
struct Plan {
    std::vector<PlannedTensor> tensors;
    std::uint64_t methodBytes = 0;
    std::uint64_t storedBytes = 0;
    std::uint64_t fileBytes = 0;         // of the GGUF file that export would write, exact
    Metadata metadata;                   // of that file
    std::vector<RewriteChoice> rewrites; // the recipe's
    std::optional<Settings> sequential;  // the recipe's
    std::vector<std::string> warnings;   // fallbacks, rules that match nothing, missing importance: a sentence each
    std::optional<Error> tooCoarse; // why nobody should export it: formats that need an importance, and none is given

    double bitsPerWeight(const Model& model) const;       // of what the file stores
    double methodBitsPerWeight(const Model& model) const; // of what the method needs
};

// What a plan is for: quantizing, or only types and sizes, which are known even where the program cannot write a
// format.
enum class Purpose { Quantize, Sizes };

// Reads metadata only. Throws Error where a choice does not fit its tensor. calibration may be null; presets give some
// tensors other types when there is one. What a recipe with `sequential` will know of inputs counts as known: of its
// calibration only rewrites, the names of the texts and tensors outside of blocks make use.
Plan resolve(const Recipe& recipe, const Model& model, const Calibration* calibration,
             Purpose purpose = Purpose::Quantize);

// What the inputs of a tensor were; null where the calibration is null or has nothing of use. Throws Error if what it
// has is of another shape.
const InputStats* inputsOf(const Tensor& tensor, const Calibration* calibration);

// Importance matrices in the legacy format, and those that llama.cpp has made of such, hold the sums of all experts of
// a tensor one behind the other in one row, with one count: makes a row an expert of them where the model's tensor has
// as many. For what has been read from a file to be used with `model`; inputsOf refuses such rows.
void splitExperts(Calibration& calibration, const Model& model);

} // namespace quern
