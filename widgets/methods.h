#pragma once

#include "core/recipe.h"
#include "core/rewrite.h"

#include <QStringList>

// Why a method cannot be chosen in this format, which may be null: a sentence; empty if it can. moments: of the inputs
// are known.
QString whyNot(const quern::Quantizer& method, const quern::BlockFormat* format, bool moments);
QString whyNot(const quern::Quantizer& method, const quern::Calibration* calibration); // for a preset's types
QString whyNot(const quern::Rewrite& rewrite, const quern::Calibration* calibration);

QString summaryOf(const quern::Quantizer& method); // translated
QString summaryOf(const quern::Rewrite& rewrite);

QString namesOf(std::span<const quern::RewriteChoice> rewrites); // "awq (gain 0.05), smoothquant"; empty if none
// That figures and pictures of single tensors are without what a recipe does to the whole model, its rewrites and its
// sequence; empty if it has none.
QString shownWithout(const quern::Recipe& recipe);

// What a rewrite did to a model: a sentence, and one for each place that it scaled.
QString gainOf(const quern::Rewrite& rewrite, const quern::FoldSummary& sum);
QStringList placesOf(const quern::Rewrite& rewrite, std::span<const quern::FoldReport> reports);
