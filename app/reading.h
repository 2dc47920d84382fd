#pragma once

#include "core/calibrate.h"
#include "core/chunks.h"
#include "core/recipe.h"
#include "widgets/textrun.h"

#include <memory>
#include <optional>

// Reading texts that a model is run on. Any thread.

// The bytes of a text. Throws Error, also if the run has a key and this is no longer what it is of.
std::string textOf(const TextRun& run);
// Tells apart what has been read and how, whatever it is called.
QString keyOf(const std::string& text, const TextRun& run);
// Throws Error, Cancelled.
quern::Chunks chunksOf(const quern::Model& model, const TextRun& run, const quern::Progress& progress);
// Its name in files that are made with it.
std::string fileNameOf(const TextRun& run);

// What is known of the inputs of a model's weights.
struct Known {
    std::shared_ptr<const quern::Calibration> calibration; // null: nothing
    std::shared_ptr<const TextRun> text;                   // that it is of; null if that is not known
};

// What a plan is carried out with. Of a sequence that is a text; a calibration only if rewrites go by one.
struct Reading {
    const quern::Calibration* calibration = nullptr; // may be null
    std::optional<quern::Chunks> chunks;             // of a plan with `sequential`
};
// Throws Error where a sequence lacks its text, or where that is no longer there; Cancelled.
Reading readingFor(const quern::Plan& plan, const quern::Model& model, const Known& known,
                   const quern::Progress& progress);
