#pragma once

#include "core/recipe.h"

#include <QString>

// Why a method cannot be chosen in this format, which may be null: a sentence; empty if it can. moments: of the inputs
// are known.
QString whyNot(const quern::Quantizer& method, const quern::BlockFormat* format, bool moments);
QString whyNot(const quern::Quantizer& method, const quern::Calibration* calibration); // for a preset's types

QString summaryOf(const quern::Quantizer& method); // translated
